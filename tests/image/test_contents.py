import re
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from unpacked import ROOT, Unpacked, members, settings

NEVER = {'sh', 'bash', 'dash', 'busybox', 'perl', 'python3', 'dpkg', 'apt', 'apt-get', 'apk', 'rpm',
         'mount', 'su', 'login'}


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.members = members()

    def test_neither_shell_nor_script_nor_package_manager(self):
        programs = {path for path in self.members if re.match('usr/s?bin/.', path)}
        self.assertTrue(programs)
        self.assertFalse({Path(path).name for path in programs} & NEVER)
        for path in programs:
            header, content = self.members[path]
            self.assertTrue(header.issym() or content.startswith(b'\x7fELF'), '%s is no ELF file' % path)
        elsewhere = 'var', 'usr/lib/apt', 'usr/lib/dpkg', 'usr/share/perl'
        self.assertFalse([path for path in self.members if path.startswith(elsewhere)])

    def test_owners_and_modes(self):
        for path, (header, _) in self.members.items():
            self.assertEqual((header.uid, header.gid, header.mtime), (0, 0, 0), path)
            self.assertFalse(header.mode & (stat.S_ISUID | stat.S_ISGID), '%s is setuid' % path)
            if path != 'tmp' and not header.issym():
                self.assertFalse(header.mode & 0o022, 'others may write %s' % path)
        self.assertEqual(self.members['tmp'][0].mode, 0o1777)

    def test_the_programs_are_those_that_the_node_runs(self):
        called = set()
        for source in (ROOT / 'src/node').rglob('*.rs'):
            text = source.read_text().split('#[cfg(test)]')[0]
            called.update(re.findall(r'Command::new\("([^"]+)"\)|"(mkfs\.[a-z0-9]+)"', text))
        called = {name for pair in called for name in pair if name}
        self.assertIn('mkfs.ext3', called)
        self.assertIn('xfs_repair', called)
        # what the links of mkfs.ext2, .ext3 and .ext4 point to
        ours = {'cinder-csi', 'cinder-csi-plugin', 'mke2fs'}
        programs = {Path(path).name for path in self.members if re.match('usr/s?bin/.', path)}
        self.assertEqual(programs, called | ours)

    def test_no_path_of_this_machine_in_the_driver(self):
        binary = self.members['usr/bin/cinder-csi'][1]
        for place in ROOT, Path.home():
            self.assertNotIn(b'%s/' % bytes(place), binary)

    def test_the_driver_can_be_told_by_no_variable_to_crash(self):
        self.assertIn('"CINDER_CSI_CRASH"', (ROOT / 'src/crash.rs').read_text())
        self.assertNotIn(b'CINDER_CSI_CRASH', self.members['usr/bin/cinder-csi'][1])

    def test_each_package_has_its_licence(self):
        for package in 'libc6', 'libblkid1', 'e2fsprogs', 'xfsprogs', 'btrfs-progs', 'cinder-csi':
            self.assertIn('usr/share/doc/%s/copyright' % package, self.members)
        self.assertIn('usr/share/common-licenses/GPL-2', self.members)

    def test_links_lead_somewhere(self):
        unpacked = Unpacked()
        self.addCleanup(unpacked.remove)
        for path, (header, _) in self.members.items():
            if header.issym():
                self.assertFalse(header.linkname.startswith('/'), path)
                self.assertTrue((unpacked.root / path).exists(), '%s leads nowhere' % path)

    def test_an_image_for_both_kinds_of_manifests(self):
        config = settings()['config']
        self.assertNotIn('Entrypoint', config)
        self.assertNotIn('User', config)
        self.assertEqual(config['Cmd'], ['/bin/cinder-csi'])
        for label in 'title', 'version', 'licenses', 'description':
            self.assertIn('org.opencontainers.image.' + label, config['Labels'])

    def test_every_library_is_there(self):
        unpacked = Unpacked()
        self.addCleanup(unpacked.remove)
        for path, (_, content) in self.members.items():
            if content.startswith(b'\x7fELF') and '/ld-linux' not in path:
                shown = unpacked.run('/lib64/ld-linux-x86-64.so.2', '--list', '/' + path)
                self.assertEqual(shown.returncode, 0, '%s: %s' % (path, shown.stdout + shown.stderr))
                self.assertNotIn('not found', shown.stdout + shown.stderr, path)


class Libraries(unittest.TestCase):
    def test_needed_by_readelf(self):
        missing_from(self, members())


def missing_from(test, found):
    """Also for a machine whose programs can't run here."""
    names = {Path(path).name for path in found}
    elves = {path: content for path, (_, content) in found.items() if content.startswith(b'\x7fELF')}
    test.assertTrue(elves)
    for path, content in elves.items():
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            shown = subprocess.check_output(['readelf', '--dynamic', file.name], text=True)
        for library in re.findall(r'\(NEEDED\).*\[(.+)\]', shown):
            test.assertIn(library, names, '%s needs it' % path)
