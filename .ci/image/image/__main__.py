"""The command: see `build`."""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from image import inputs, output
from image.driver import TARGETS, build, native
from image.failure import Failure


def main():
    # stdout is for the path of what was made
    out = os.dup(1)
    os.dup2(2, 1)
    options = parse()
    try:
        made = make(options)
    except Failure as failure:
        sys.exit('image: %s' % failure)
    except FileNotFoundError as missing:
        sys.exit('image: there is no %s here: please install it' % missing.filename)
    except subprocess.CalledProcessError as failed:
        sys.exit('image: %s failed: see above' % ' '.join(map(str, failed.cmd)))
    os.write(out, b'%s\n' % os.fsencode(made))


def parse():
    parser = argparse.ArgumentParser(prog='.ci/image/build')
    parser.add_argument('--arch', choices=sorted(TARGETS), default=next(filter(native, TARGETS), 'amd64'))
    parser.add_argument('--binary', type=pathlib.Path, metavar='PATH', help='the driver, compiled elsewhere')
    parser.add_argument('--tag', default=None, metavar='NAME:TAG', help='what containerd and docker call it')
    parser.add_argument('--revision', metavar='TEXT', help='the label org.opencontainers.image.revision')
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--tree', action='store_true', help='a directory in place of the tar')
    form.add_argument('--driver', action='store_true', help="the driver's binary alone, for --binary")
    parser.add_argument('out', type=pathlib.Path, metavar='OUT_DIR')
    options = parser.parse_args()
    if options.driver and options.binary:
        parser.error('--driver compiles the driver: give it without --binary')
    return options


def make(options):
    root = pathlib.Path(__file__).resolve().parents[3]
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()
    if options.driver:
        return shutil.copy2(build(root, options.arch), out / ('cinder-csi-' + options.arch))
    image = out / ('tree' if options.tree else 'cinder-csi-%s.tar' % options.arch)
    state = out / ('%s.inputs' % image.name)
    before = inputs.digest(root, options)
    if image.exists() and state.exists() and state.read_text() == before:
        return image
    state.unlink(missing_ok=True)
    if options.binary and not options.binary.is_file():
        raise Failure('--binary: there is no file %s' % options.binary)
    binary = options.binary or build(root, options.arch)
    output.write(root, options, out, image, binary.read_bytes())
    state.write_text(before)
    return image


main()
