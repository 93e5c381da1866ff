import subprocess
import unittest

from unpacked import Unpacked

MIB = 1 << 20
VERSIONS = ['mkfs.ext2 -V', 'mkfs.ext3 -V', 'mkfs.ext4 -V', 'e2fsck -V', 'mkfs.xfs -V',
            'xfs_repair -V', 'xfs_db -V', 'xfs_growfs -V', 'mkfs.btrfs --version', 'btrfs --version',
            'blkid --version', 'blockdev --version', 'flock --version', 'cinder-csi --version',
            '/bin/cinder-csi --version', '/bin/cinder-csi-plugin --version']
MAKE = {
    'ext2': ['mkfs.ext2', '-F', '-m0', '-E', 'nodiscard'],
    'ext3': ['mkfs.ext3', '-F', '-m0', '-E', 'nodiscard'],
    'ext4': ['mkfs.ext4', '-F', '-m0', '-E', 'nodiscard'],
    'xfs': ['mkfs.xfs', '-K'],
    'btrfs': ['flock', '--verbose', '--wait', '5', '/tmp/disk', 'mkfs.btrfs', '-K'],
}
UUID = '6d51f0a1-6d51-4a1e-9d4e-6e1f6f1c2a77'
RENAME = {
    'ext4': ['tune2fs', '-O', 'metadata_csum_seed', '-U', UUID, '/tmp/disk'],
    'xfs': ['xfs_db', '-x', '-c', 'uuid ' + UUID, '/tmp/disk'],
    'btrfs': ['btrfstune', '-M', UUID, '/tmp/disk'],
}
GROW = {'xfs': ['xfs_growfs', '-d', '/mnt'], 'btrfs': ['btrfs', 'filesystem', 'resize', 'max', '/mnt']}


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.image = Unpacked()
        cls.addClassCleanup(cls.image.remove)
        cls.disk = cls.image.root / 'tmp/disk'

    def run_inside(self, *command):
        done = self.image.run(*command)
        self.assertEqual(done.returncode, 0, '%s: %s' % (' '.join(command), done.stdout + done.stderr))
        return done.stdout + done.stderr

    def make(self, fs):
        self.disk.unlink(missing_ok=True)
        with open(self.disk, 'wb') as file:
            file.truncate(320 * MIB)
        self.run_inside(*MAKE[fs], '/tmp/disk')
        return self.run_inside('blkid', '-p', '-o', 'export', '/tmp/disk')

    def test_they_start(self):
        for command in VERSIONS:
            with self.subTest(command):
                self.assertIn('.', self.run_inside(*command.split()))

    def test_they_format_and_blkid_sees_it(self):
        for fs in MAKE:
            with self.subTest(fs):
                self.assertIn('TYPE=%s\n' % fs, self.make(fs))

    def test_they_change_the_uuid(self):
        for fs, command in RENAME.items():
            with self.subTest(fs):
                self.make(fs)
                self.run_inside(*command)
                self.assertIn('UUID=%s\n' % UUID, self.run_inside('blkid', '-p', '-o', 'export', '/tmp/disk'))

    def test_ext4_is_checked_and_grows(self):
        self.make('ext4')
        self.run_inside('e2fsck', '-f', '-p', '/tmp/disk')
        with open(self.disk, 'r+b') as file:
            file.truncate(640 * MIB)
        self.run_inside('resize2fs', '/tmp/disk')
        # 640 MiB in blocks of 1 KiB or 4 KiB
        self.assertRegex(self.run_inside('tune2fs', '-l', '/tmp/disk'), r'Block count: +(655360|163840)\n')

    def test_xfs_is_repaired(self):
        self.make('xfs')
        self.run_inside('xfs_repair', '-L', '/tmp/disk')

    def test_mounted_file_systems_grow(self):
        for fs, command in GROW.items():
            with self.subTest(fs):
                self.make(fs)
                self.grow(fs, command)

    def grow(self, fs, command):
        device = host('flock', '/dev/loop-control', 'losetup', '--find', '--show', self.disk)
        try:
            self.assertIn('0\n', self.run_inside('blockdev', '--getro', device))
            host('mount', '-t', fs, device, self.image.root / 'mnt')
            try:
                with open(self.disk, 'r+b') as file:
                    file.truncate(640 * MIB)
                host('losetup', '--set-capacity', device)
                self.run_inside(*command)
                size = host('findmnt', '--bytes', '--noheadings', '--output', 'SIZE', self.image.root / 'mnt')
                self.assertGreater(int(size), 500 * MIB)
            finally:
                host('umount', self.image.root / 'mnt')
        finally:
            host('losetup', '--detach', device)


def host(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
