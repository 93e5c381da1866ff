"""The images of the sidecars, and those of the storage suite under the names that it asks for."""
import glob
import os
import subprocess

from cluster.archive import Image
from cluster.place import REGISTRY

SIDECARS = ('csi-provisioner', 'csi-attacher', 'csi-resizer', 'csi-snapshotter')
# as `e2e.test --list-images` of Kubernetes 1.36.3 has them
SUITE = {'agnhost': '2.63.0', 'busybox': '1.37.0-1', 'nginx': '1.15-4', 'glibc-dns-testing': '2.0.0'}
BUSYBOX = '/bin/busybox'
PASSWD = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'
GROUP = 'root:x:0:\nnobody:x:65534:\n'
# specs of volumes that several pods have want GNU's dd; a shell that is busybox would run its own
GNU = ('sh bash cat cp dd df echo grep head hostname id ls mkdir mount mv ps readlink rm sed sleep stat sync tail tee test '
       'touch tr wc base64 sha256sum timeout blockdev du expr find md5sum seq sort').split()


def make(place):
    for name, parts, image in (*((s, [s], sidecar) for s in SIDECARS), ('pause', ['pause'], pause),
                               ('busybox', [], busybox), ('agnhost', ['agnhost'], agnhost),
                               ('glibc-dns-testing', [], gnu)):
        path = os.path.join(place.images, name + '.tar')
        sources = [__file__, *map(place.program, parts)]
        if not os.path.exists(path) or os.path.getmtime(path) < max(map(os.path.getmtime, sources)):
            image(place, name).write(path)


def all_of(place):
    return sorted(glob.glob(os.path.join(place.images, '*.tar')))


def sidecar(place, name):
    image = Image('%s/%s:lab' % (REGISTRY, name), entrypoint=['/' + name])
    image.file(place.program(name), '/' + name)
    return image


pause = sidecar


def busybox(_place, name):
    image = Image('%s/busybox:lab' % REGISTRY, suite('busybox'), suite('nginx'), command=['sh'])
    shell(image)
    image.text('/etc/passwd', PASSWD)
    image.text('/etc/group', GROUP)
    return image


def agnhost(place, name):
    image = Image(suite(name), entrypoint=['/agnhost'], command=['pause'])
    image.file(place.program(name), '/agnhost')
    image.link('/agnhost-2', 'agnhost')
    image.directory('/uploads')
    shell(image)
    accounts(image)
    return image


def gnu(_place, name):
    image = Image(suite(name), command=['sh'])
    for program in GNU:
        image.program(program)
    image.link('/bin', 'usr/bin')
    image.directory('/root')
    image.directory('/var/tmp', 0o1777)
    accounts(image)
    return image


def shell(image):
    image.file(BUSYBOX, BUSYBOX)
    applets = subprocess.run([BUSYBOX, '--list-full'], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != 'bin/busybox':
            image.link('/' + applet, BUSYBOX)
    image.directory('/root')
    image.directory('/var/tmp', 0o1777)


def accounts(image):
    """The suite's specs of users and groups look for these."""
    user, group = 'user-defined-in-image', 'group-defined-in-image'
    image.text('/etc/passwd', PASSWD + '%s:x:1000:1000::/home/%s:/bin/sh\n' % (user, user))
    image.text('/etc/group', GROUP + '%s:x:1000:\n%s:x:50000:%s\n' % (user, group, user))


def suite(name):
    return '%s/e2e/%s:%s' % (REGISTRY, name, SUITE[name])
