"""Where one lab lives: its directory and its ports."""
import glob
import hashlib
import json
import os
import random
import shutil
import socket

IP = '127.0.0.1'
REGION = 'RegionOne'
ZONES = {'az1': 'cmp1', 'az2': 'cmp2'}      # a compute host and a Cinder backend in each
DISKS = {'cmp2': 6}                         # as many as a server there may have, its root disk among them
PASSWORD = 'labsecret'                      # of everything; loopback only

HTTP = ('keystone', 'placement', 'cinder', 'nova', 'neutron')
PORTS = HTTP + ('mariadb', 'rabbitmq', 'rabbitmq_dist', 'epmd', 'memcached')

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DRIVERS = os.path.join(HERE, 'drivers')


def api_address():
    """Where the APIs of a new lab are: elsewhere for clients that aren't on this loopback."""
    return os.environ.get('LAB_ADDRESS', IP)


def made_by():
    """The version of the files that make a lab."""
    digest = hashlib.sha256(api_address().encode())
    for path in sorted(glob.glob(HERE + '/lab/*.py') + glob.glob(HERE + '/drivers/*.py')):
        with open(path, 'rb') as f:
            digest.update(f.read())
    return digest.hexdigest()


class Place:
    """The directory given by CINDER_CSI_LAB, and the names of what is in it."""

    def __init__(self):
        self.dir = os.environ['CINDER_CSI_LAB']
        self.venv = os.environ['CINDER_CSI_LAB_VENV']
        self.state = os.path.join(self.dir, 'state')
        self.etc = os.path.join(self.dir, 'etc')
        self.logs = os.path.join(self.dir, 'logs')
        self.run = os.path.join(self.dir, 'run')
        self.volumes = os.path.join(self.state, 'volumes')
        self.address = api_address()
        self.ports = {}

    def make(self):
        for d in (self.state, self.etc, self.logs, self.run, self.volumes,
                  self.inside('inject'), self.inside('passages'), self.inside('dev')):
            os.makedirs(d, exist_ok=True)

    def wipe(self):
        for d in (self.state, self.etc, self.logs, self.run):
            shutil.rmtree(d, ignore_errors=True)
        for f in ('cloud.conf', 'cloud-small.conf', 'cloud-application-credential.conf',
                  'clouds.yaml', 'openrc', 'servers.env'):
            if os.path.exists(os.path.join(self.dir, f)):
                os.unlink(os.path.join(self.dir, f))

    def inside(self, *names):
        return os.path.join(self.state, *names)

    def url(self, service, tail=''):
        return 'http://%s:%d%s' % (self.address, self.ports[service], tail)

    def done(self, step):
        """Whether a step that is needed once was made in this state."""
        return os.path.exists(self.inside('.' + step))

    def mark(self, step, text=''):
        with open(self.inside('.' + step), 'w') as f:
            f.write(text)

    def is_outdated(self):
        """A start that broke off, or a cloud filled by another version of these
        files: its steps aren't made to be made twice."""
        if not self.done('begun'):
            return False
        with open(self.inside('.begun')) as f:
            return f.read() != made_by() or not self.done('cloud')

    def load_ports(self):
        try:
            with open(self.inside('ports.json')) as f:
                self.ports = json.load(f)
            self.address = self.ports.pop('address')
        except FileNotFoundError:
            return False
        return True

    def choose_ports(self):
        """LAB_PORT_KEYSTONE and so on where given, else free ones below the
        kernel's range for outgoing connections, where they stay free."""
        self.ports = {}
        for name in PORTS:
            given = os.environ.get('LAB_PORT_' + name.upper())
            self.ports[name] = int(given) if given else self._unused()
        with open(self.inside('ports.json'), 'w') as f:
            json.dump(dict(self.ports, address=self.address), f, indent=1)

    def _unused(self):
        for _ in range(1000):
            port = random.randrange(15000, 32000)
            if port not in self.ports.values() and is_free(port):
                return port
        raise SystemExit('lab: no free port between 15000 and 32000')


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((IP, port))
        except OSError:
            return False
    return True
