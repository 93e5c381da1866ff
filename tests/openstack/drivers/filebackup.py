"""A Cinder backup driver that keeps each backup in a sparse file.

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

    def restore(self, backup, volume_id, volume_file, volume_is_new):
        faults.point('cinder.restore')
        copy(path(backup), volume_file.name)

    def delete_backup(self, backup):
        faults.point('cinder.backup_delete')
        if os.path.exists(path(backup)):
            os.unlink(path(backup))


def path(backup):
    return os.path.join(DIRECTORY, backup.id)


def copy(source, target):
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', source, target], check=True)
