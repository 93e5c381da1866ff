"""A containerd of the test's own, with its images and sockets in one directory."""
import pathlib
import subprocess
import tempfile
import threading

CONFIG = '''\
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/containerd.sock"
'''


class Containerd:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix='cinder-csi-containerd-')
        self.place = pathlib.Path(self.directory.name)
        # Pods of another user have their volumes in it
        self.place.chmod(0o755)
        (self.place / 'config.toml').write_text(CONFIG.format(place=self.place))
        self.process = subprocess.Popen(
            ['containerd', '--config', self.place / 'config.toml', '--log-level', 'info'],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        wait_for(self.process.stderr, 'containerd successfully booted')
        # a full pipe would stop it
        self.reader = threading.Thread(target=self.process.stderr.read)
        self.reader.start()

    def command(self, *arguments):
        return ['ctr', '--address', str(self.place / 'containerd.sock'), *map(str, arguments)]

    def ctr(self, *arguments):
        return subprocess.run(self.command(*arguments), check=True, capture_output=True, text=True).stdout

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        self.directory.cleanup()


def wait_for(stream, text):
    """Reads lines until one has the text, and returns all of them."""
    lines = []
    for line in stream:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError('it ended before it said "%s": %s' % (text, ''.join(lines)))
