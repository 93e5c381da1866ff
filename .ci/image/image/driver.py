"""The driver's binary, and what it was compiled from."""
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

from image.failure import Failure

FEATURES = ['--locked', '--no-default-features', '--features', 'k8s']
TARGETS = {'amd64': 'x86_64-unknown-linux-gnu', 'arm64': 'aarch64-unknown-linux-gnu'}
LINKERS = {'arm64': 'aarch64-linux-gnu-gcc'}
# Shared libraries, and relocations one by one, would be a fifth of an idle driver's memory. Debian's libraries for another
# machine's gcc aren't those with the security updates: a driver for another machine takes the image's.
STATIC = ['-Ctarget-feature=+crt-static', '-Clink-arg=-Wl,-z,pack-relative-relocs']
LIBRARIES = ['libc.a', 'libgcc_eh.a']


@dataclass
class Library:
    """A Debian package of this machine that a library is linked from."""
    name: str
    version: str
    architecture: str
    source: str


def build(root, arch):
    """Compiles it, and returns its path."""
    target = TARGETS[arch]
    subprocess.run(['cargo', 'fetch', '--locked', '--target', target], cwd=root, check=True)
    print('image: compiling the driver for %s' % target, flush=True)
    command = ['cargo', 'build', '--release', '--target', target, *FEATURES]
    if subprocess.run(command, cwd=root, env=environment(root, arch)).returncode:
        raise Failure('cargo could not compile the driver for %s: see above, or compile it elsewhere '
                      'and give it as --binary' % target)
    return target_directory(root) / target / 'release' / 'cinder-csi'


def environment(root, arch):
    """A panic names its source file: with these flags not as it's called on this machine."""
    home = pathlib.Path(os.environ.get('CARGO_HOME') or pathlib.Path.home() / '.cargo')
    names = {root: '.', target_directory(root): './target'}
    names |= {index: 'crates' for index in sorted((home / 'registry/src').glob('*'))}
    # the last one that fits counts
    flags = ['--remap-path-prefix=%s=%s' % name for name in names.items()]
    if native(arch):
        # cargo doesn't see that a library has changed: with another flag it compiles again
        flags += [*STATIC, '-Cmetadata=%s' % linked(arch)]
    elif arch in LINKERS:
        flags.append('-Clinker=' + LINKERS[arch])
    return os.environ | {'CARGO_ENCODED_RUSTFLAGS': '\x1f'.join(flags)}


def linked(arch):
    """The packages whose libraries are in what `build` makes."""
    return [library(file) for file in LIBRARIES] if native(arch) else []


def library(file):
    path = os.path.realpath(said('cc', '-print-file-name=' + file))
    package = said('dpkg-query', '--search', path).partition(': ')[0]
    fields = '${Package}\n${Version}\n${Architecture}\n${source:Package}'
    return Library(*said('dpkg-query', '--show', '--showformat', fields, package).split('\n'))


def said(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def native(arch):
    return os.uname().machine == TARGETS[arch].split('-')[0]


def target_directory(root):
    return root / os.environ.get('CARGO_TARGET_DIR', 'target')


def version(root):
    return re.search(r'^version = "(.+)"$', (root / 'Cargo.toml').read_text(), re.M)[1]
