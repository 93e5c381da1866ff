"""Takes the lab down: its own processes, its own loop devices, and the links to them."""
import glob
import os
import subprocess

from lab.processes import Processes

LAST = ('keystone-api', 'memcached', 'rabbitmq'), ('mariadb', 'epmd')


def down(place, wipe=False):
    if os.path.isdir(place.run):
        processes = Processes(place)
        late = {n for group in LAST for n in group}
        processes.stop([n for n in processes.names() if n not in late])
        for group in LAST:
            processes.stop(group)
    release_devices(place)
    if wipe:
        place.wipe()


def release_devices(place):
    """nova-compute makes them anew when it starts."""
    for link in glob.glob(place.inside('dev', '*', '*')):
        os.unlink(link)
    for backing in glob.glob('/sys/block/loop*/loop/backing_file'):
        with open(backing) as f:
            path = f.read().strip()
        if path.startswith(place.volumes + '/'):
            subprocess.run(['losetup', '--detach', '/dev/' + backing.split('/')[3]], check=True)
