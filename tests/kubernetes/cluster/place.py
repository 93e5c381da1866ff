"""Where one cluster lives: its directory, its bridge and network, its ports, its programs."""
import json
import os
import random
import shutil
import subprocess

from lab.place import is_free

ZONE = 'az1'                # of both servers
NODES = (1, 2)              # the servers node-1 and node-2
PORTS = ('etcd', 'etcd_peer', 'controller_manager', 'scheduler')
API_PORT = 6443
SERVICES = '10.96'          # Service addresses: known inside the nodes only
REGISTRY = 'registry.local'     # a prefix of image names, no host


class Place:
    """The directory given by CINDER_CSI_CLUSTER, and the names of what is in it."""

    def __init__(self):
        self.dir = os.environ['CINDER_CSI_CLUSTER']
        self.tools = os.environ['CINDER_CSI_CLUSTER_TOOLS']
        self.bin = os.path.join(self.tools, 'bin')
        self.images = os.path.join(self.tools, 'images')
        self.cloud = os.path.join(self.dir, 'openstack')
        self.run = os.path.join(self.dir, 'run')
        self.logs = os.path.join(self.dir, 'logs')
        self.pki = os.path.join(self.dir, 'pki')
        self.kubeconfig = os.path.join(self.pki, 'admin.kubeconfig')
        self.number = None
        self.ports = {}

    @classmethod
    def known(cls):
        """Of a cluster that was begun here."""
        place = cls()
        if not place.load():
            raise SystemExit('cluster: none was begun in %s: tests/kubernetes/up' % place.dir)
        return place

    def settle(self):
        """The bridge and the ports of the first start."""
        for d in (self.dir, self.run, self.logs, self.pki, self.images):
            os.makedirs(d, exist_ok=True)
        if self.load():
            add_bridge(self.bridge)
        else:
            self.number = claim_number()
            self.choose_ports()
            with open(self._settled(), 'w') as f:
                json.dump({'number': self.number, 'ports': self.ports}, f, indent=1)
        must('ip', 'addr', 'replace', self.address + '/24', 'dev', self.bridge)
        must('ip', 'link', 'set', self.bridge, 'up')

    def choose_ports(self):
        for name in PORTS:
            free = (p for p in iter(lambda: random.randrange(15000, 32000), None)
                    if p not in self.ports.values() and is_free(p))
            self.ports[name] = next(free)

    def wipe(self):
        for d in (self.run, self.logs, self.pki, *(os.path.join(self.dir, d) for d in ('etcd', 'report')), *map(self.node, NODES)):
            shutil.rmtree(d, ignore_errors=True)
        for f in (self._settled(), os.path.join(self.dir, 'env')):
            if os.path.exists(f):
                os.unlink(f)

    @property
    def bridge(self):
        return 'ccsi%d' % self.number

    @property
    def net(self):
        """net.0.1 is the bridge, net.0.10+N node N, net.N.0/24 its pods."""
        return '10.%d' % (200 + self.number)

    @property
    def address(self):
        return self.net + '.0.1'

    @property
    def cgroup(self):
        return 'ccsi%d' % self.number

    def node(self, n):
        return os.path.join(self.dir, 'node%d' % n)

    def node_name(self, n):
        return 'node-%d' % n

    def node_address(self, n):
        return '%s.0.%d' % (self.net, 10 + n)

    def server(self, n):
        """The Nova server that node N is."""
        with open(os.path.join(self.cloud, 'servers.env')) as f:
            return dict(line.strip().split('=') for line in f)['NODE_%d' % n]

    def program(self, name):
        return os.path.join(self.bin, name)

    def _settled(self):
        return os.path.join(self.dir, 'settled.json')

    def load(self):
        try:
            with open(self._settled()) as f:
                settled = json.load(f)
        except FileNotFoundError:
            return False
        self.number, self.ports = settled['number'], settled['ports']
        return True


def claim_number():
    """Adding a bridge fails where there is one of that name: clusters side by side have numbers of their own."""
    for number in range(50):
        if add_bridge('ccsi%d' % number):
            return number
    raise SystemExit('cluster: the bridges ccsi0 to ccsi49 are all taken: ip link show type bridge')


def must(*command, **more):
    """What fails ends this with the command's own words."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit('cluster: %s: %s' % (' '.join(command), done.stderr.strip() or 'ended with %d' % done.returncode))


def succeeds(*command):
    return subprocess.run(command, capture_output=True).returncode == 0


def add_bridge(name):
    return succeeds('ip', 'link', 'add', name, 'type', 'bridge')
