"""The nodes: namespaces of their own, with containerd, kubelet and kube-proxy. Each is a Nova server of the cloud."""
import calendar
import json
import os
import subprocess
import sys
import time

from cluster import config, images, pki
from cluster.place import NODES, ZONE, must, succeeds

HERE = os.path.dirname(os.path.abspath(__file__))


def start(cluster, n):
    place, name = cluster.place, 'node%d' % n
    pki.node(place, n)
    home = place.node(n)
    os.makedirs(os.path.join(home, 'run'), exist_ok=True)
    if not cluster.processes.running(name):
        config.write(place, n)
        power_on(cluster, n)
    pid = cluster.processes.pid(name)
    wire(cluster, n, pid)
    cluster.processes.start('metadata%d' % n, sys.executable, HERE + '/metadata.py', str(pid), place.server(n), ZONE)
    cluster.wait(name, lambda: containerd(place, n, 'version').returncode == 0)
    load(place, n, images.all_of(place))
    open(os.path.join(home, 'run', 'images-loaded'), 'w').close()


def power_on(cluster, n):
    """A PID namespace whose first process ends every pod with itself, and mounts that nobody else sees: like a machine
    that loses its power when that one process is killed."""
    place, home = cluster.place, cluster.place.node(n)
    for stale in ('images-loaded', 'containerd.sock', 'containerd.sock.ttrpc'):
        if os.path.exists(os.path.join(home, 'run', stale)):
            os.unlink(os.path.join(home, 'run', stale))
    cluster.processes.start(
        'node%d' % n, 'unshare', '--pid', '--fork', '--kill-child=SIGKILL', '--mount', '--mount-proc', '--net', '--uts',
        '--propagation', 'private', HERE + '/node-init', env=environment(place, n))


def wire(cluster, n, pid):
    """To the bridge; again where an earlier start got no further."""
    place, outer = cluster.place, '%s-n%d' % (cluster.place.bridge, n)
    cluster.wait('node%d' % n, lambda: os.readlink('/proc/%d/ns/net' % pid) != os.readlink('/proc/self/ns/net'))
    if not succeeds('nsenter', '-t', str(pid), '-n', 'ip', 'link', 'show', 'eth0'):
        # a node that has just ended keeps its end for a moment
        succeeds('ip', 'link', 'del', outer)
        must('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', str(pid))
    must('ip', 'link', 'set', outer, 'master', place.bridge, 'up')
    must('ip', 'route', 'replace', '%s.%d.0/24' % (place.net, n), 'via', place.node_address(n), 'dev', place.bridge)


def environment(place, n):
    return {
        'NODE': str(n), 'NODE_ALL': ' '.join(map(str, NODES)), 'NODE_NAME': place.node_name(n),
        'NODE_HOME': place.node(n), 'NODE_ADDRESS': place.node_address(n), 'NODE_NETWORK': place.net,
        'NODE_GATEWAY': place.address, 'NODE_CGROUP': '%s/node%d' % (place.cgroup, n),
        'NODE_DISKS': os.path.join(place.cloud, 'state', 'dev', place.server(n)), 'NODE_LOGS': place.logs,
        'NODE_PKI': place.pki, 'PATH': '%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' % place.bin}


def ready(cluster, n):
    """By a heartbeat of this run: what an earlier one said is ready, too."""
    answer = cluster.kubectl_output('get', 'node', cluster.place.node_name(n), '-o', 'json')
    conditions = json.loads(answer)['status']['conditions'] if answer else []
    return any(c['type'] == 'Ready' and c['status'] == 'True' and seconds(c['lastHeartbeatTime']) >= int(cluster.began)
               for c in conditions)


def seconds(stamp):
    return calendar.timegm(time.strptime(stamp, '%Y-%m-%dT%H:%M:%SZ'))


def load(place, n, archives):
    """Each archive once, and again when it is newer."""
    for archive in archives:
        loaded = os.path.join(place.node(n), 'run', os.path.basename(archive) + '.loaded')
        if os.path.exists(loaded) and os.path.getmtime(loaded) >= os.path.getmtime(archive):
            continue
        done = containerd(place, n, 'images', 'import', archive)
        if done.returncode:
            raise SystemExit('cluster: containerd of %s refuses %s: %s' % (place.node_name(n), archive, done.stderr.strip()))
        open(loaded, 'w').close()


def containerd(place, n, *words):
    return subprocess.run(['ctr', '-a', os.path.join(place.node(n), 'run', 'containerd.sock'), '-n', 'k8s.io', *words],
                          capture_output=True, text=True)

