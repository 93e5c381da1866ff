"""Ends the cluster and its cloud: by recorded process ids, and what they made."""
import glob
import os
import subprocess
import time

from cluster import cloud
from cluster.control import PROCESSES
from cluster.place import NODES
from lab.processes import Processes


def down(place, wipe=False):
    if place.load():
        for n in NODES:
            cut(place, n)
        Processes(place).stop(reversed(PROCESSES), patience=3)
        cloud.down(place, wipe)
        subprocess.run(['ip', 'link', 'del', place.bridge], capture_output=True)
        remove_cgroups(place.cgroup)
    if wipe:
        place.wipe()


def cut(place, n):
    """Like a power cut: no process of the node has a chance to do anything."""
    processes = Processes(place)
    processes.kill('node%d' % n)
    processes.stop(['metadata%d' % n])
    subprocess.run(['ip', 'link', 'del', '%s-n%d' % (place.bridge, n)], capture_output=True)
    remove_cgroups('%s/node%d' % (place.cgroup, n))


def remove_cgroups(name):
    """Empty once the kernel has buried their last processes."""
    end = time.monotonic() + 5
    while (roots := glob.glob('/sys/fs/cgroup/*/' + name)) and time.monotonic() < end:
        for root in roots:
            for directory, _, _ in os.walk(root, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass
        time.sleep(0.05)
