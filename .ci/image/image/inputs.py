"""Whether an image is still the one of its sources."""
import hashlib
import os
import subprocess

from image.driver import linked

SOURCES = ['.ci/image', 'Cargo.lock', 'Cargo.toml', 'LICENSE', 'build.rs', 'proto', 'src']


def digest(root, options):
    """By content: a checkout changes the times of all files. Packages once downloaded stay the same."""
    whole = hashlib.sha256()
    asked = [options.arch, options.tag, options.revision, options.tree, os.environ.get('SOURCE_DATE_EPOCH')]
    whole.update(repr(asked).encode())
    if options.binary:
        whole.update(options.binary.read_bytes() if options.binary.is_file() else b'')
    else:
        whole.update(subprocess.run(['rustc', '-Vv'], cwd=root, check=True, capture_output=True).stdout)
        whole.update(repr(linked(options.arch)).encode())
    for path in files(root):
        content = (root / path).read_bytes()
        whole.update(b'%s %d\n' % (os.fsencode(path), len(content)))
        whole.update(content)
    return whole.hexdigest() + '\n'


def files(root):
    for source in SOURCES:
        if (root / source).is_file():
            yield source
        for directory, _, names in os.walk(root / source):
            yield from (os.path.relpath(os.path.join(directory, name), root) for name in names)
