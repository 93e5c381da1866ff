"""A Cinder driver that keeps each volume and snapshot in a sparse file.

The connection it hands out is of type "local" with the file's path; the
compute driver (loopvirt.py) makes a loop device of it.
"""
import os
import subprocess

from cinder import exception
from cinder import interface
from cinder.volume import configuration
from cinder.volume import driver
from oslo_config import cfg

import faults

GIB = 1 << 30
CAPACITY_GIB = 1000
OPTIONS = [cfg.StrOpt('loopfile_dir', help='Directory of the volume files.')]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


@interface.volumedriver
class LoopFileDriver(driver.VolumeDriver):
    VERSION = '1.0'
    CI_WIKI_NAME = 'none'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    @classmethod
    def get_driver_options(cls):
        return OPTIONS

    def do_setup(self, context):
        self.dir = self.configuration.loopfile_dir
        os.makedirs(self.dir, exist_ok=True)

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        used = sum(size(f) for f in self._files()) / GIB
        name = self.configuration.volume_backend_name
        self._stats = {
            'volume_backend_name': name, 'vendor_name': 'lab',
            'driver_version': self.VERSION, 'storage_protocol': 'local',
            'pools': [{
                'pool_name': name,
                'total_capacity_gb': CAPACITY_GIB,
                'free_capacity_gb': max(CAPACITY_GIB - used, 0),
                'allocated_capacity_gb': used,
                'provisioned_capacity_gb': used,
                'max_over_subscription_ratio': 20.0,
                'reserved_percentage': 0,
                'thin_provisioning_support': True,
                'multiattach': True,
                'online_extend_support': True,
                'consistent_group_snapshot_enabled': True,
                'filter_function': self.get_filter_function(),
                'goodness_function': self.get_goodness_function(),
            }]}

    # volumes

    def create_volume(self, volume):
        faults.point('cinder.create')
        grow(self._path(volume), volume['size'])

    def delete_volume(self, volume):
        faults.point('cinder.delete')
        remove(self._path(volume))

    def extend_volume(self, volume, new_size):
        faults.point('cinder.extend')
        grow(self._path(volume), new_size)

    def create_cloned_volume(self, volume, src_vref):
        faults.point('cinder.create')
        copy(self._path(src_vref), self._path(volume), volume['size'])

    def retype(self, context, volume, new_type, diff, host):
        faults.point('cinder.retype')
        # A type changes nothing in the file, so the same backend will do.
        return volume['host'] == host['host'], None

    # snapshots

    def create_snapshot(self, snapshot):
        faults.point('cinder.snapshot')
        copy(self._path(snapshot.volume), self._path(snapshot), snapshot['volume_size'])

    def delete_snapshot(self, snapshot):
        faults.point('cinder.delete')
        remove(self._path(snapshot))

    def create_volume_from_snapshot(self, volume, snapshot):
        faults.point('cinder.create')
        copy(self._path(snapshot), self._path(volume), volume['size'])

    # groups: they are only names, each volume has its own file. The copies follow
    # each other, so a group whose volumes are written to meanwhile is not cut at
    # one moment; that is a storage system's art, and what this driver claims only.

    def create_group(self, context, group):
        faults.point('cinder.group')
        return {'status': 'available'}

    def update_group(self, context, group, add_volumes=None, remove_volumes=None):
        faults.point('cinder.group')
        return {'status': 'available'}, None, None

    def delete_group(self, context, group, volumes):
        for volume in volumes:
            self.delete_volume(volume)
        return {'status': 'deleted'}, [{'id': v.id, 'status': 'deleted'} for v in volumes]

    def create_group_snapshot(self, context, group_snapshot, snapshots):
        # Cinder takes no other exception for the end of a group snapshot.
        try:
            faults.point('cinder.group_snapshot')
        except RuntimeError as e:
            raise exception.VolumeDriverException(message=str(e))
        for snapshot in snapshots:
            self.create_snapshot(snapshot)
        return {'status': 'available'}, [{'id': s.id, 'status': 'available'} for s in snapshots]

    def delete_group_snapshot(self, context, group_snapshot, snapshots):
        for snapshot in snapshots:
            self.delete_snapshot(snapshot)
        return {'status': 'deleted'}, [{'id': s.id, 'status': 'deleted'} for s in snapshots]

    # connections

    def initialize_connection(self, volume, connector, **kwargs):
        faults.point('cinder.connect')
        return {'driver_volume_type': 'local', 'data': {'device_path': self._path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        faults.point('cinder.disconnect')
        # A restored backup was written over a file of no bytes.
        if os.stat(self._path(volume)).st_size < volume['size'] * GIB:
            grow(self._path(volume), volume['size'])

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def _path(self, thing):
        return os.path.join(self.dir, thing['name'])

    def _files(self):
        return [f for f in os.scandir(self.dir) if not f.name.endswith('.part')]


def size(entry):
    try:
        return entry.stat().st_size
    except FileNotFoundError:       # deleted since the directory was read
        return 0


def grow(path, gib):
    with open(path, 'ab') as f:
        f.truncate(gib * GIB)


def copy(source, target, gib):
    part = target + '.part'
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', source, part], check=True)
    if os.stat(part).st_size < gib * GIB:
        grow(part, gib)
    os.rename(part, target)


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
