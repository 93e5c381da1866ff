"""Brings the cloud and the cluster up. What runs is left alone, what is missing is started."""
import os
import subprocess
import time

from cluster import cloud, control, images, nodes, pki, stop
from cluster.place import NODES, Place
from lab.processes import Processes

def up(fresh):
    if fresh:
        stop.down(Place(), wipe=True)
    cluster = Cluster(Place())
    cluster.place.settle()
    cloud.up(cluster.place)
    images.make(cluster.place)
    cluster.control_plane()
    cluster.nodes(NODES)
    cluster.settings()
    cluster.say('ready: . %s/env' % cluster.place.dir)


def restore(n):
    Cluster(Place.known()).nodes([n])


def load(archive):
    """An image into every node, for pods whose pull policy is IfNotPresent or Never."""
    place = Place.known()
    for n in NODES:
        nodes.load(place, n, [os.path.abspath(archive)])


class Cluster:
    def __init__(self, place):
        self.place = place
        self.processes = Processes(place)
        self.began = time.time()

    def say(self, what):
        print('cluster: %5.1f s  %s' % (time.time() - self.began, what), flush=True)

    def control_plane(self):
        pki.control_plane(self.place)
        control.start(self)
        self.say('the control plane is up')

    def nodes(self, numbers):
        for n in numbers:
            nodes.start(self, n)
        for n in numbers:
            self.wait('node%d' % n, lambda: nodes.ready(self, n))
            self.say('%s is ready' % self.place.node_name(n))

    def settings(self):
        """For the shell and the tests."""
        p = self.place
        with open(os.path.join(p.dir, 'env'), 'w') as f:
            f.write('export KUBECONFIG=%s CINDER_CSI_CLUSTER=%s CINDER_CSI_CLUSTER_TOOLS=%s CINDER_CSI_LAB=%s CINDER_CSI_LAB_VENV=%s\n'
                    'PATH=%s:$PATH\n' % (p.kubeconfig, p.dir, p.tools, p.cloud, os.environ['CINDER_CSI_LAB_VENV'], p.bin))

    def kubectl(self, *words):
        return self._kubectl(*words).returncode == 0

    def kubectl_output(self, *words):
        done = self._kubectl(*words)
        return done.stdout if done.returncode == 0 else ''

    def _kubectl(self, *words):
        return subprocess.run([self.place.program('kubectl'), '--kubeconfig', self.place.kubeconfig, *words],
                              capture_output=True, text=True)

    def wait(self, name, ready, seconds=120):
        end = time.monotonic() + seconds
        while not ready():
            if not self.processes.running(name) or time.monotonic() > end:
                raise SystemExit('cluster: %s did not come up, see %s' % (name, self.place.logs))
            time.sleep(0.2)
