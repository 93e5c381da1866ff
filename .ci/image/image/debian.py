"""Debian's packages, by name, with Debian's own tools and this machine's sources."""
import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass

from image.failure import Failure
from image.tree import File, Link

# on Debian these are links into /usr, whatever path a package's archive has
MERGED = ('bin/', 'sbin/', 'lib/', 'lib64/')


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str
    source: str
    sha256: str
    files: dict


def packages(names, arch, directory):
    """Downloads those that aren't in the directory, and reads all of them."""
    archives = directory / arch
    archives.mkdir(parents=True, exist_ok=True)
    here = {archive.name.split('_')[0] for archive in archives.glob('*.deb')}
    missing = sorted(set(names) - here)
    if missing:
        print('image: downloading %d packages for %s' % (len(missing), arch), flush=True)
        download(missing, arch, archives, directory / ('apt-' + arch))
    return [read(next(archives.glob(name + '_*.deb'))) for name in sorted(names)]


def download(names, arch, archives, state):
    """With a state of apt's own: another architecture, and no root, need no change to this machine."""
    (state / 'lists/partial').mkdir(parents=True, exist_ok=True)
    (state / 'archives/partial').mkdir(parents=True, exist_ok=True)
    (state / 'status').touch()
    options = {'Dir::State': state, 'Dir::State::status': state / 'status', 'Dir::Cache': state,
               'APT::Architecture': arch, 'APT::Architectures': arch, 'Acquire::Languages': 'none'}
    if os.getuid() == 0:
        # apt's own user can't write to a directory of root's
        options['APT::Sandbox::User'] = 'root'
    apt = ['apt-get', '-qq', *('-o%s=%s' % option for option in options.items())]
    for command in [*apt, 'update'], [*apt, 'download', *names]:
        if subprocess.run(command, cwd=archives).returncode:
            raise Failure('apt-get could not download %s for %s: see above; the packages are those of '
                          'Debian 12, and .ci/image/contents has their names' % (', '.join(names), arch))


def read(archive):
    fields = {}
    for field in 'Package', 'Version', 'Architecture', 'Source':
        shown = subprocess.run(['dpkg-deb', '-f', archive, field], check=True, capture_output=True, text=True)
        fields[field] = shown.stdout.strip()
    source = fields['Source'].split(' ')[0] or fields['Package']
    content = subprocess.run(['dpkg-deb', '--fsys-tarfile', archive], check=True, capture_output=True).stdout
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package(fields['Package'], fields['Version'], fields['Architecture'], source, digest,
                   dict(members(content, fields['Package'])))


def members(content, package):
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            path = merged(os.path.normpath(member.name))
            if member.isreg() or member.islnk():
                executable = archive.getmember(member.linkname) if member.islnk() else member
                mode = 0o755 if executable.mode & 0o111 else 0o644
                yield path, File(archive.extractfile(member).read(), mode, package)
            elif member.issym():
                target = os.path.normpath(os.path.join('/', os.path.dirname(path), member.linkname))
                yield path, Link(merged(target[1:]), package)


def merged(path):
    return 'usr/' + path if path.startswith(MERGED) else path
