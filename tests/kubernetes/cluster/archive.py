"""An image of one layer as a tar that containerd and Docker load
(https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format). The same files give the same bytes."""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


class Image:
    def __init__(self, *names, entrypoint=None, command=None):
        self.names, self.entrypoint, self.command = names, entrypoint, command
        self.entries = {}
        self.directory('/tmp', 0o1777)

    def file(self, source, path):
        with open(source, 'rb') as f:
            self._add(path, os.stat(source).st_mode & 0o777, tarfile.REGTYPE, f.read())

    def text(self, path, content):
        self._add(path, 0o644, tarfile.REGTYPE, content.encode())

    def link(self, path, target):
        self._add(path, 0o777, tarfile.SYMTYPE, target=target)

    def directory(self, path, mode=0o755):
        self._add(path, mode, tarfile.DIRTYPE)

    def program(self, name):
        """One of this machine's, as /usr/bin/NAME, with the libraries that it is linked with."""
        found = shutil.which(name, path=PATH)
        if not found:
            raise SystemExit('cluster: the image %s needs the program %s of this machine' % (self.names[0], name))
        self.file(os.path.realpath(found), '/usr/bin/' + name)
        linked = subprocess.run(['ldd', os.path.realpath(found)], capture_output=True, text=True).stdout
        for library in re.findall(r'(/\S+) \(0x', linked):
            self.file(os.path.realpath(library), library)

    def write(self, path):
        layer = self._layer()
        digest = hashlib.sha256(layer).hexdigest()
        config = json.dumps({
            'architecture': 'amd64', 'os': 'linux', 'created': '1970-01-01T00:00:00Z',
            'config': {'Env': ['PATH=' + PATH], 'Entrypoint': self.entrypoint, 'Cmd': self.command, 'WorkingDir': '/'},
            'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + digest]}}).encode()
        name = hashlib.sha256(config).hexdigest() + '.json'
        manifest = [{'Config': name, 'RepoTags': self.names, 'Layers': [digest + '/layer.tar']}]
        with tarfile.open(path + '.part', 'w') as out:
            for member, content in ((name, config), (digest + '/layer.tar', layer),
                                    ('manifest.json', json.dumps(manifest).encode())):
                put(out, member, 0o644, tarfile.REGTYPE, content)
        os.rename(path + '.part', path)

    def _add(self, path, mode, kind, content=b'', target=''):
        parent = os.path.dirname(path)
        if parent != '/' and parent not in self.entries:
            self.directory(parent)
        self.entries.setdefault(path, (mode, kind, content, target))

    def _layer(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w') as layer:
            for path, (mode, kind, content, target) in sorted(self.entries.items()):
                put(layer, path.lstrip('/'), mode, kind, content, target)
        return buffer.getvalue()


def put(archive, name, mode, kind, content=b'', target=''):
    member = tarfile.TarInfo(name)
    member.mode, member.type, member.linkname, member.size = mode, kind, target, len(content)
    archive.addfile(member, io.BytesIO(content))
