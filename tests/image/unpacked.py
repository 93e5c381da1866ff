"""The image's files, and its programs run on them."""
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

IMAGE = pathlib.Path(os.environ['IMAGE'])
ROOT = pathlib.Path(__file__).resolve().parents[2]
# as the driver runs them: src/node/linux.rs
ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C'}
# a runtime gives a container these two
INSIDE = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


def read(image, name):
    with tarfile.open(image) as archive:
        return archive.extractfile(name).read()


def settings(image=IMAGE):
    return json.loads(read(image, json.loads(read(image, 'manifest.json'))[0]['Config']))


def layers(image=IMAGE):
    return [read(image, name) for name in json.loads(read(image, 'manifest.json'))[0]['Layers']]


def members(image=IMAGE):
    """{path: (header, content)}"""
    found = {}
    for layer in layers(image):
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                content = archive.extractfile(member).read() if member.isreg() else b''
                found[member.name] = member, content
    return found


class Unpacked:
    def __init__(self, image=IMAGE):
        self.place = tempfile.TemporaryDirectory(prefix='cinder-csi-image-')
        self.root = pathlib.Path(self.place.name) / 'root'
        for directory in 'dev', 'proc', 'mnt':
            (self.root / directory).mkdir(parents=True)
        for layer in layers(image):
            subprocess.run(['tar', '-xp', '-C', self.root], input=layer, check=True)

    def run(self, *command):
        """In a mount namespace of its own."""
        return subprocess.run(['unshare', '--mount', 'bash', '-c', INSIDE, self.root, *command],
                              env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def remove(self):
        self.place.cleanup()
