"""The files of the image, from the packages and the driver."""
import re

from image import elf
from image.driver import TARGETS
from image.failure import Failure
from image.tree import Directory, File, Link

DRIVER = 'usr/bin/cinder-csi'
ACCOUNTS = {
    'etc/passwd': 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n',
    'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
}


def listed(text):
    """{package: [path]} from the file `contents`."""
    wanted = {}
    for line in text.splitlines():
        package, *paths = line.split('#')[0].split() or [None]
        if package:
            wanted.setdefault(package, []).extend(paths)
    return wanted


def of_driver(binary, licence):
    return {DRIVER: File(binary, 0o755), DRIVER + '-plugin': Link(DRIVER),
            'usr/share/doc/cinder-csi/copyright': File(licence)}


def of_debian(packages, wanted, driver, arch):
    """What is listed, with all that it and the driver need."""
    offered = {path: entry for package in packages for path, entry in package.files.items()}
    taken = {'tmp': Directory(0o1777), 'run': Directory()}
    taken |= {path: File(text.encode()) for path, text in ACCOUNTS.items()}
    for name, paths in wanted.items():
        for path in paths:
            take(taken, offered, path, 'the package %s' % name)
    taken['etc/ssl/certs/ca-certificates.crt'] = certificates(packages)
    need(taken, offered, driver, arch)
    return with_top(taken | licences(taken, packages, offered))


def take(taken, offered, path, wanted_by):
    if path.endswith('/'):
        found = [inside for inside in offered if inside.startswith(path)]
    else:
        found = [path] if path in offered else []
    if not found:
        raise Failure('%s has no %s: .ci/image/contents is written for Debian 12' % (wanted_by, path))
    for each in found:
        taken[each] = offered[each]
        if isinstance(offered[each], Link):
            take(taken, offered, offered[each].target, each)


def need(taken, offered, driver, arch):
    """Takes the libraries, and theirs. Debian's are all in its directories of libraries."""
    machine = TARGETS[arch].replace('-unknown', '')
    waiting = [('the driver', driver)]
    waiting += [(path, entry.data) for path, entry in taken.items() if is_program(entry)]
    seen = set()
    while waiting:
        name, data = waiting.pop()
        needs = elf.parse(data)
        if needs.arch != arch:
            raise Failure('%s is for %s, and the image for %s' % (name, needs.arch, arch))
        if needs.interpreter:
            take(taken, offered, 'usr' + needs.interpreter, name)
        for library in needs.needed:
            path = 'usr/lib/%s/%s' % (machine, library)
            if path not in offered:
                raise Failure('%s needs %s, which no package of .ci/image/contents has: add its package'
                              % (name, library))
            take(taken, offered, path, name)
            found = followed(taken, path)
            missing = needs.versions.get(library, set()) - elf.parse(found.data).defined
            if missing:
                raise Failure('%s needs %s of %s, which is newer than the one of Debian 12: compile it on '
                              'Debian 12' % (name, ', '.join(sorted(missing)), library))
            if path not in seen:
                seen.add(path)
                waiting.append((path, found.data))


def followed(entries, path):
    while isinstance(entries[path], Link):
        path = entries[path].target
    return entries[path]


def is_program(entry):
    return isinstance(entry, File) and elf.is_elf(entry.data)


def certificates(packages):
    """As Debian's update-ca-certificates makes it: in order of their names, each with a last newline."""
    certificate = re.compile(r'usr/share/ca-certificates/.+\.crt')
    of = next(package for package in packages if package.name == 'ca-certificates')
    paths = sorted(path for path in of.files if certificate.fullmatch(path))
    texts = (of.files[path].data for path in paths)
    return File(b''.join(text if text.endswith(b'\n') else text + b'\n' for text in texts), package=of.name)


def licences(taken, packages, offered):
    used = used_packages(taken)
    found = {}
    for package in packages:
        if package.name in used:
            path = 'usr/share/doc/%s/copyright' % package.name
            found[path] = copyright_of(package.name, offered)
    return found


def copyright_of(name, offered):
    """A package may have its directory as a link to that of another one."""
    path = 'usr/share/doc/' + name
    while isinstance(offered.get(path), Link):
        path = offered[path].target
    entry = offered.get(path + '/copyright')
    if isinstance(entry, Link):
        entry = offered.get(entry.target)
    if entry is None:
        raise Failure('the package %s has no copyright file in %s: add the package that has it to '
                      '.ci/image/contents' % (name, path))
    return File(entry.data, 0o644, name)


def used_packages(taken):
    return {entry.package for entry in taken.values() if getattr(entry, 'package', None)}


def with_top(entries):
    for name in 'bin', 'sbin', 'lib', 'lib64':
        if any(path.startswith('usr/%s/' % name) for path in entries):
            entries[name] = Link('usr/' + name)
    return entries
