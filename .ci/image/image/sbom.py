"""What is in the image, as CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/."""
import json
import re
import subprocess
import tomllib
import urllib.parse
import uuid

from image import contents
from image.driver import FEATURES, TARGETS
from image.failure import Failure
from image.oci import stamp

NAMESPACE = uuid.UUID('3c1b5f0a-6d51-4a1e-9d4e-6e1f6f1c2a77')


def sbom(root, arch, version, digest, packages, entries, libraries, epoch):
    used = contents.used_packages(entries)
    distribution = distribution_of(packages)
    debian = [of_package(package, entries, distribution) for package in packages if package.name in used]
    parts = [of_crate(*crate) for crate in crates(root, arch)]
    parts += [of_library(library, distribution) for library in libraries]
    driver = {'type': 'application', 'bom-ref': 'cinder-csi', 'name': 'cinder-csi', 'version': version,
              'licenses': [{'license': {'id': 'Apache-2.0'}}],
              'evidence': {'occurrences': [{'location': '/' + contents.DRIVER}]}}
    image = {'type': 'container', 'bom-ref': 'image', 'name': 'cinder-csi', 'version': version,
             'hashes': [{'alg': 'SHA-256', 'content': digest.split(':')[1]}],
             'properties': [{'name': 'architecture', 'value': arch}]}
    refs = [each['bom-ref'] for each in parts]
    return json.dumps({
        'bomFormat': 'CycloneDX', 'specVersion': '1.6', 'version': 1,
        'serialNumber': 'urn:uuid:%s' % uuid.uuid5(NAMESPACE, digest),
        'metadata': {'timestamp': stamp(epoch), 'component': image},
        'components': [driver, *debian, *parts],
        'dependencies': [
            {'ref': 'image', 'dependsOn': ['cinder-csi', *(each['bom-ref'] for each in debian)]},
            {'ref': 'cinder-csi', 'dependsOn': refs}],
    }, indent=1, sort_keys=True).encode() + b'\n'


def distribution_of(packages):
    """By it a scanner finds the security advisories."""
    release = next(package for package in packages if package.name == 'base-files').files['usr/lib/os-release']
    return 'debian-' + re.search(r'^VERSION_ID="(.+)"$', release.data.decode(), re.M)[1]


def debian_purl(name, version, arch, distribution):
    name, version = (urllib.parse.quote(text, safe='') for text in (name, version))
    return 'pkg:deb/debian/%s@%s?arch=%s&distro=%s' % (name, version, arch, distribution)


def of_package(package, entries, distribution):
    purl = debian_purl(package.name, package.version, package.architecture, distribution)
    paths = ['/' + path for path, entry in entries.items() if getattr(entry, 'package', None) == package.name]
    licences = licences_of(entries['usr/share/doc/%s/copyright' % package.name].data)
    return {
        'type': 'library', 'bom-ref': purl, 'purl': purl, 'name': package.name, 'version': package.version,
        'hashes': [{'alg': 'SHA-256', 'content': package.sha256}],
        'licenses': [{'license': {'name': licence}} for licence in licences],
        'properties': [{'name': 'debian:source', 'value': package.source}],
        'evidence': {'occurrences': [{'location': path} for path in sorted(paths)]},
    }


def of_library(library, distribution):
    """Linked into the driver: no file of the image is its own."""
    purl = debian_purl(library.name, library.version, library.architecture, distribution)
    return {'type': 'library', 'bom-ref': purl, 'purl': purl, 'name': library.name, 'version': library.version,
            'properties': [{'name': 'debian:source', 'value': library.source}]}


def licences_of(text):
    """Those of a machine-readable copyright file; of another one nothing is known."""
    text = text.decode(errors='replace')
    if not text.startswith('Format:'):
        return []
    return sorted(set(re.findall(r'^License:[ \t]*(\S.*?)\s*$', text, re.M)))


def of_crate(name, version, licence, sha256):
    purl = 'pkg:cargo/%s@%s' % (name, urllib.parse.quote(version, safe=''))
    # older crates write MIT/Apache-2.0, which SPDX has no slash for
    licence = re.sub(r'\s*/\s*', ' OR ', licence)
    return {'type': 'library', 'bom-ref': purl, 'purl': purl, 'name': name, 'version': version,
            'hashes': [{'alg': 'SHA-256', 'content': sha256}],
            'licenses': [{'expression': licence}] if licence else []}


def crates(root, arch):
    """Crates in the binary: none of build scripts, none that only write code at compile time."""
    command = ['cargo', 'tree', '--target', TARGETS[arch], *FEATURES, '--edges', 'normal,no-proc-macro',
               '--prefix', 'none', '--no-dedupe', '--format', '{p}\t{l}']
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if shown.returncode:
        raise Failure('cargo tree failed, from which the SBOM has its crates: %s' % shown.stderr.strip())
    lock = tomllib.loads((root / 'Cargo.lock').read_text())
    checksums = {(each['name'], each['version']): each.get('checksum') for each in lock['package']}
    for line in sorted(set(shown.stdout.splitlines())):
        crate, _, licence = line.partition('\t')
        name, version = crate.split(' ')[:2]
        if sha256 := checksums[name, version.removeprefix('v')]:
            yield name, version.removeprefix('v'), licence, sha256
