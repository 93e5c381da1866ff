"""Puts the image together, and writes it."""
import os
import shutil

from image import contents, debian, oci
from image.driver import linked, version
from image.failure import Failure
from image.sbom import sbom
from image.tree import Directory, Link, relative, with_parents


def write(root, options, out, image, binary):
    epoch = source_date()
    release = version(root)
    wanted = contents.listed((root / '.ci/image/contents').read_text())
    packages = debian.packages(list(wanted), options.arch, out / 'packages')
    tools = contents.of_debian(packages, wanted, binary, options.arch)
    driver = contents.of_driver(binary, (root / 'LICENSE').read_bytes())
    layers = [oci.layer(each, epoch) for each in (tools, driver)]
    tag = options.tag or 'localhost/cinder-csi:' + release
    content, digest = oci.image(options.arch, layers, labels(release, options.revision), tag, epoch)
    # of a driver that was compiled elsewhere nobody knows them
    libraries = [] if options.binary else linked(options.arch)
    bill = sbom(root, options.arch, release, digest, packages, tools, libraries, epoch)
    replace(out / ('cinder-csi-%s.cdx.json' % options.arch), bill)
    if options.tree:
        write_tree(image, tools | driver, epoch)
    else:
        replace(image, content)
        print('image: %s is %s, %.1f MiB' % (tag, digest, len(content) / 2**20), flush=True)


def source_date():
    text = os.environ.get('SOURCE_DATE_EPOCH', '0')
    if not text.isdecimal():
        raise Failure('SOURCE_DATE_EPOCH must be seconds since 1970, not %s' % text)
    return int(text)


def labels(release, revision):
    found = {'title': 'cinder-csi', 'description': 'A CSI driver for OpenStack Cinder',
             'licenses': 'Apache-2.0', 'version': release, 'revision': revision}
    return {'org.opencontainers.image.' + name: text for name, text in found.items() if text}


def replace(path, content):
    part = path.with_name(path.name + '.part')
    part.write_bytes(content)
    part.replace(path)


def write_tree(directory, entries, epoch):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    whole = with_parents(entries)
    for path, entry in whole.items():
        place = directory / path
        if isinstance(entry, Directory):
            place.mkdir()
            place.chmod(entry.mode)
        elif isinstance(entry, Link):
            place.symlink_to(relative(path, entry))
        else:
            place.write_bytes(entry.data)
            place.chmod(entry.mode)
    for path in [*reversed(whole), '.']:
        os.utime(directory / path, (epoch, epoch), follow_symlinks=False)
