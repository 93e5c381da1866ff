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
    for device, _ in devices(place):
        subprocess.run(['losetup', '--detach', device], check=True)


def devices(place):
    """Loop devices of the lab's volumes, with their files."""
    for backing in glob.glob('/sys/block/loop*/loop/backing_file'):
        try:
            with open(backing) as f:
                path = f.read().strip()
        except OSError:     # freed since
            continue
        if path.startswith(place.volumes + '/'):
            yield '/dev/' + backing.split('/')[3], path
