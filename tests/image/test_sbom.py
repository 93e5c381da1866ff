import json
import subprocess
import unittest

from unpacked import IMAGE, ROOT, members, read

LINKED = {'libc6-dev', 'libgcc-12-dev'}
# made by .ci/image itself: no package has them
OURS = {'etc/passwd', 'etc/group', 'usr/share/doc/cinder-csi/copyright'}


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sbom = json.loads(IMAGE.with_suffix('.cdx.json').read_bytes())
        cls.components = cls.sbom['components']

    def test_what_the_schema_of_cyclonedx_requires(self):
        self.assertEqual((self.sbom['bomFormat'], self.sbom['specVersion']), ('CycloneDX', '1.6'))
        self.assertRegex(self.sbom['serialNumber'],
                         r'^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')
        for component in [self.sbom['metadata']['component'], *self.components]:
            self.assertIn(component['type'], {'library', 'application', 'container'})
            self.assertTrue(component['name'] and component['version'])
            for each in component.get('hashes', []):
                self.assertEqual(each['alg'], 'SHA-256')
                self.assertRegex(each['content'], '^[0-9a-f]{64}$')
            for licence in component.get('licenses', []):
                self.assertTrue(licence.get('expression') or set(licence['license']) & {'id', 'name'})
        refs = [component['bom-ref'] for component in self.components]
        self.assertEqual(len(refs), len(set(refs)))
        for each in self.sbom['dependencies']:
            self.assertLessEqual({each['ref'], *each['dependsOn']}, {*refs, 'image'})

    def of_kind(self, kind):
        return {each['name']: each for each in self.components
                if each.get('purl', '').startswith('pkg:%s/' % kind)}

    def test_it_is_of_this_image(self):
        digest = json.loads(read(IMAGE, 'index.json'))['manifests'][0]['digest']
        self.assertEqual(self.sbom['metadata']['component']['hashes'][0]['content'], digest.split(':')[1])

    def test_it_has_each_file_of_the_image_and_no_other(self):
        here = {'/' + path for path, (header, _) in members().items() if not header.isdir()} - {
            '/' + path for path in OURS}
        # links of the layout, and the second name of the driver
        here -= {'/bin', '/sbin', '/lib', '/lib64', '/usr/bin/cinder-csi-plugin'}
        listed = [each['location'] for component in self.components
                  for each in component.get('evidence', {}).get('occurrences', [])]
        self.assertEqual(sorted(listed), sorted(here))

    def test_debian_packages_have_versions_and_digests(self):
        packages = self.of_kind('deb')
        self.assertLessEqual({'e2fsprogs', 'xfsprogs', 'btrfs-progs', 'util-linux', 'libc6',
                              'ca-certificates'}, set(packages))
        for name, package in packages.items():
            if name not in LINKED:
                self.assertEqual(len(package['hashes']), 1, name)

    def test_the_libraries_that_are_linked_into_the_driver_are_listed(self):
        packages = self.of_kind('deb')
        of_driver = next(each for each in self.sbom['dependencies'] if each['ref'] == 'cinder-csi')
        for name in LINKED:
            here = subprocess.run(['dpkg-query', '--show', '--showformat', '${Version}', name],
                                  check=True, capture_output=True, text=True).stdout
            self.assertEqual(packages[name]['version'], here)
            self.assertIn(packages[name]['bom-ref'], of_driver['dependsOn'])

    def test_crates_are_of_the_lock_and_none_is_only_for_tests_or_the_sandbox(self):
        lock = (ROOT / 'Cargo.lock').read_text()
        crates = self.of_kind('cargo')
        self.assertLessEqual({'tokio', 'rustls', 'ring', 'kube', 'tonic'}, set(crates))
        self.assertFalse({'jsonschema', 'rcgen', 'protox', 'syn', 'tempfile'} & set(crates))
        for crate in crates.values():
            self.assertIn('name = "%s"\nversion = "%s"' % (crate['name'], crate['version']), lock)
            self.assertTrue(crate['licenses'], crate['name'])
