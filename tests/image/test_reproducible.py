import json
import pathlib
import subprocess
import tempfile
import unittest

from image import debian, elf
from test_contents import missing_from
from test_sbom import LINKED
from unpacked import IMAGE, ROOT, members, settings

BUILD = ROOT / '.ci/image/build'


class Reproducible(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix='cinder-csi-image-')
        self.addCleanup(place.cleanup)
        self.out = pathlib.Path(place.name)
        self.binary = self.out / 'driver'

    def build(self, *options):
        done = subprocess.run([BUILD, '--binary', self.binary, *options, self.out],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return pathlib.Path(done.stdout.strip())

    def test_made_twice_it_has_the_same_bytes(self):
        self.binary.write_bytes(members()['usr/bin/cinder-csi'][1])
        # a package that came since the image was made is another input
        (self.out / 'packages').symlink_to(IMAGE.parent / 'packages')
        again = self.build()
        self.assertEqual(again.read_bytes(), IMAGE.read_bytes())
        bill, before = [json.loads(image.with_suffix('.cdx.json').read_bytes()) for image in (again, IMAGE)]
        # what a driver is linked with that was compiled elsewhere nobody knows
        libraries = [each for each in before['components'] if each['name'] in LINKED]
        self.assertEqual(len(libraries), len(LINKED))
        for library in libraries:
            before['components'].remove(library)
            before['dependencies'][1]['dependsOn'].remove(library['bom-ref'])
        self.assertEqual(bill, before)

    def test_a_second_call_makes_nothing(self):
        self.binary.write_bytes(members()['usr/bin/cinder-csi'][1])
        (self.out / 'packages').symlink_to(IMAGE.parent / 'packages')
        before = self.build().stat()
        self.assertEqual(self.build().stat(), before)
        self.build('--revision', 'another')
        self.assertNotEqual(self.build('--revision', 'another').stat(), before)

    def test_a_tree_has_the_same_files(self):
        self.binary.write_bytes(members()['usr/bin/cinder-csi'][1])
        (self.out / 'packages').symlink_to(IMAGE.parent / 'packages')
        tree = self.build('--tree')
        for path, (header, content) in members().items():
            found = (tree / path).lstat()
            if header.isreg():
                self.assertEqual((tree / path).read_bytes(), content, path)
            if not header.issym():
                self.assertEqual(found.st_mode & 0o7777, header.mode, path)
        self.assertEqual({str(path.relative_to(tree)) for path in tree.rglob('*')}, set(members()))

    def test_arm64_from_debians_packages(self):
        # Debian's own program stands for a driver that was compiled elsewhere
        stand_in, = debian.packages(['util-linux'], 'arm64', IMAGE.parent / 'packages')
        self.binary.write_bytes(stand_in.files['usr/bin/flock'].data)
        (self.out / 'packages').symlink_to(IMAGE.parent / 'packages')
        image = self.build('--arch', 'arm64')
        self.assertEqual(settings(image)['architecture'], 'arm64')
        found = members(image)
        for path, (_, content) in found.items():
            if elf.is_elf(content):
                self.assertEqual(elf.parse(content).arch, 'arm64', path)
        self.assertIn('usr/lib/ld-linux-aarch64.so.1', found)
        missing_from(self, found)

    def test_a_driver_for_another_machine_is_refused(self):
        self.binary.write_bytes(members()['usr/bin/cinder-csi'][1])
        (self.out / 'packages').symlink_to(IMAGE.parent / 'packages')
        done = subprocess.run([BUILD, '--arch', 'arm64', '--binary', self.binary, self.out],
                              capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('the driver is for amd64, and the image for arm64', done.stderr)
        self.assertFalse(list(self.out.glob('*.tar')))
