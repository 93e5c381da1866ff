"""The driver's binary, and what it was compiled from."""
import os
import pathlib
import re
import subprocess

from image.failure import Failure

FEATURES = ['--locked', '--no-default-features', '--features', 'k8s']
TARGETS = {'amd64': 'x86_64-unknown-linux-gnu', 'arm64': 'aarch64-unknown-linux-gnu'}
LINKERS = {'arm64': 'aarch64-linux-gnu-gcc'}
# Shared libraries, and relocations one by one, would be a quarter of an idle driver's memory.
SMALL = ['-Ctarget-feature=+crt-static', '-Clink-arg=-Wl,-z,pack-relative-relocs']


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
    flags = SMALL + ['--remap-path-prefix=%s=%s' % name for name in names.items()]
    if arch in LINKERS and not native(arch):
        flags.append('-Clinker=' + LINKERS[arch])
    return os.environ | {'CARGO_ENCODED_RUSTFLAGS': '\x1f'.join(flags)}


def c_library(arch):
    """The Debian package whose libc.a is in what `build` makes, and its version."""
    package = 'libc6-dev' if native(arch) else 'libc6-dev-%s-cross' % arch
    asked = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', package], capture_output=True, text=True)
    if asked.returncode:
        raise Failure('there is no package %s here, whose libc.a the driver is linked with: please install it'
                      % package)
    return package, asked.stdout


def native(arch):
    return os.uname().machine == TARGETS[arch].split('-')[0]


def target_directory(root):
    return root / os.environ.get('CARGO_TARGET_DIR', 'target')


def version(root):
    return re.search(r'^version = "(.+)"$', (root / 'Cargo.toml').read_text(), re.M)[1]
