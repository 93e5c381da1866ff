"""A Cinder backup driver that keeps each backup in a sparse file, and the metadata of
its volume beside it, which it gives back with the data as Cinder's own drivers do.

Cinder hands over the volume's file opened, for a restore truncated: what is not
written again must be grown to the volume's size (loopfile.py does, when Cinder
takes its hands off).
"""
import os
import subprocess

from cinder.backup import driver
from cinder import interface

import faults

DIRECTORY = os.path.join(os.environ['LAB_STATE'], 'backups')


@interface.backupdriver
class FileBackupDriver(driver.BackupDriver):
    def check_for_setup_error(self):
        os.makedirs(DIRECTORY, exist_ok=True)

    def backup(self, backup, volume_file, backup_metadata=False):
        faults.point('cinder.backup')
        copy(volume_file.name, path(backup))
        with open(path(backup) + '.metadata', 'w') as file:
            file.write(self.get_metadata(backup.volume_id))

    def restore(self, backup, volume_id, volume_file, volume_is_new):
        faults.point('cinder.restore')
        copy(path(backup), volume_file.name)
        with open(path(backup) + '.metadata') as file:
            self.put_metadata(volume_id, file.read())

    def delete_backup(self, backup):
        faults.point('cinder.backup_delete')
        for part in (path(backup), path(backup) + '.metadata'):
            if os.path.exists(part):
                os.unlink(part)


def path(backup):
    return os.path.join(DIRECTORY, backup.id)


def copy(source, target):
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', source, target], check=True)
