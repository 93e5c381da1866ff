"""A Nova compute driver: pretended servers with real block devices.

The servers are those of Nova's own FakeDriver. An attached volume becomes a
loop device, of its own for each attachment as each guest has its own disk,
and a link `state/dev/SERVER/virtio-<first 20 characters of the volume id>`,
where a KVM guest would have it under /dev/disk/by-id.

Servers and attachments are kept in `state/virt-HOST.json`, so that both
outlive a restart.
"""
import json
import os
import subprocess
import threading

from nova.compute import power_state
from nova import exception
from nova.virt import fake

import faults

STATE = os.environ['LAB_STATE']


class LoopVirtDriver(fake.FakeDriverWithoutFakeNodes):
    capabilities = dict(fake.FakeDriver.capabilities, has_imagecache=False,
                        supports_multiattach=True, supports_extend_volume=True)
    vcpus = 64
    memory_mb = 64 * 1024
    local_gb = 1000

    def init_host(self, host):
        super().init_host(host)
        self._lock = threading.Lock()
        self._file = os.path.join(STATE, 'virt-%s.json' % host)
        self._attached = {}
        if os.path.exists(self._file):
            self._restore()

    def _restore(self):
        with open(self._file) as f:
            kept = json.load(f)
        for uuid, s in kept['servers'].items():
            self.instances[uuid] = fake.FakeInstance(s['name'], s['state'], uuid)
        # A guest keeps its disks when only its host's nova-compute went.
        self._attached = kept['attached']
        for key, held in list(self._attached.items()):
            self._plug(key, held['path'])

    def _save(self):
        servers = {u: {'name': i.name, 'state': i.state} for u, i in self.instances.items()}
        part = self._file + '.part'
        with open(part, 'w') as f:
            json.dump({'servers': servers, 'attached': self._attached}, f)
        os.rename(part, self._file)

    # servers

    def spawn(self, context, instance, image_meta, injected_files, admin_password,
              allocations, network_info=None, block_device_info=None, power_on=True,
              accel_info=None):
        faults.point('nova.spawn')
        super().spawn(context, instance, image_meta, injected_files, admin_password,
                      allocations, network_info, block_device_info, power_on, accel_info)
        with self._lock:
            self._save()

    def destroy(self, context, instance, network_info, block_device_info=None,
                destroy_disks=True, destroy_secrets=True):
        with self._lock:
            for key in [k for k in self._attached if k.startswith(instance.uuid + '/')]:
                self._unplug(key)
        super().destroy(context, instance, network_info, block_device_info,
                        destroy_disks, destroy_secrets)
        with self._lock:
            self._save()

    def power_off(self, instance, timeout=0, retry_interval=0):
        super().power_off(instance, timeout, retry_interval)
        with self._lock:
            self._save()

    def power_on(self, context, instance, network_info, block_device_info=None,
                 accel_info=None, share_info=None):
        self.instances.setdefault(instance.uuid, fake.FakeInstance(
            instance.name, power_state.SHUTDOWN, instance.uuid))
        super().power_on(context, instance, network_info, block_device_info,
                         accel_info, share_info)
        with self._lock:
            self._save()

    def get_all_volume_usage(self, context, compute_host_bdms):
        return []

    # volumes

    def attach_volume(self, context, connection_info, instance, mountpoint, disk_bus=None,
                      device_type=None, encryption=None):
        faults.point('nova.attach')
        with self._lock:
            self._plug(key_of(instance, connection_info), connection_info['data']['device_path'])
            self._save()
        super().attach_volume(context, connection_info, instance, mountpoint, disk_bus,
                              device_type, encryption)

    def detach_volume(self, context, connection_info, instance, mountpoint, encryption=None):
        faults.point('nova.detach')
        with self._lock:
            self._unplug(key_of(instance, connection_info))
            self._save()
        super().detach_volume(context, connection_info, instance, mountpoint, encryption)

    def extend_volume(self, context, connection_info, instance, requested_size):
        faults.point('nova.extend')
        attached = self._attached.get(key_of(instance, connection_info))
        if attached:
            losetup('--set-capacity', attached['device'])

    # devices

    def _plug(self, key, path):
        held = self._attached.get(key)
        if held and backing_file(held['device']) == path:
            return
        # Of two that look for a free loop device at once one has the other's for itself for a moment: they take turns.
        device = run('flock', '/dev/loop-control', 'losetup', '--find', '--show', path)
        # A loop device keeps the read-only flag of its earlier user; a disk that was just plugged has none.
        run('blockdev', '--setrw', device)
        self._attached[key] = {'path': path, 'device': device}
        link = link_of(key)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        part = link + '.part'
        os.symlink(device, part)
        os.rename(part, link)

    def _unplug(self, key):
        held = self._attached.pop(key, None)
        if held is None:
            return
        if os.path.lexists(link_of(key)):
            os.unlink(link_of(key))
        # A device that a test still holds open is freed by the kernel at its last close.
        if backing_file(held['device']) == held['path']:
            losetup('--detach', held['device'])


def key_of(instance, connection_info):
    return '%s/%s' % (instance.uuid, connection_info['serial'])


def link_of(key):
    server, volume = key.split('/')
    return os.path.join(STATE, 'dev', server, 'virtio-' + volume[:20])


def backing_file(device):
    try:
        with open('/sys/block/%s/loop/backing_file' % os.path.basename(device)) as f:
            return f.read().strip()
    except OSError:
        return None


def losetup(*arguments):
    return run('losetup', *arguments)


def run(*command):
    p = subprocess.run(command, capture_output=True, text=True)
    if p.returncode:
        raise exception.InternalError('%s: %s' % (' '.join(command), p.stderr.strip()))
    return p.stdout.strip()
