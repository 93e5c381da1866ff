import contextlib
import os
import socket
import threading
import unittest

from unpacked import Unpacked

NAME = 'keystone.cloud.test'
A, IN = 1, 1
CONFIG = """[Global]
auth-url = http://%s:%d/v3
username = u
password = p
domain-name = d
tenant-name = t
region = r
"""


class Names(unittest.TestCase):
    """The driver is linked statically: glibc's resolver in it needs none of the modules that a machine has."""

    def setUp(self):
        self.image = Unpacked()
        self.addCleanup(self.image.remove)
        self.etc = self.image.root / 'etc'
        # others may test beside us, and have the port of DNS at another address
        self.address = '127.%d.%d.53' % (os.getpid() >> 8 & 255, os.getpid() & 255)

    def assert_found(self):
        """The driver has come to the address that the name is of."""
        with socket.create_server((self.address, 0)) as server:
            (self.image.root / 'cloud.conf').write_text(CONFIG % (NAME, server.getsockname()[1]))
            came = threading.Thread(target=refuse, args=[server], daemon=True)
            came.start()
            done = self.image.run('cinder-csi', 'check', '--cloud-config', '/cloud.conf')
            came.join(1)
            self.assertFalse(came.is_alive(), done.stdout + done.stderr)

    def test_of_etc_hosts(self):
        (self.etc / 'hosts').write_text('%s %s\n' % (self.address, NAME))
        self.assert_found()

    def test_of_dns(self):
        (self.etc / 'resolv.conf').write_text('nameserver %s\n' % self.address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
            dns.bind((self.address, 53))
            threading.Thread(target=serve, args=[dns, self.address], daemon=True).start()
            self.assert_found()


def refuse(server):
    server.accept()[0].close()


def serve(dns, address):
    """Knows one name: https://www.rfc-editor.org/rfc/rfc1035#section-4.1."""
    with contextlib.suppress(OSError):
        while True:
            query, sender = dns.recvfrom(512)
            name = question(query)
            kind = int.from_bytes(query[12 + len(name):14 + len(name)], 'big')
            found = kind == A and name == encoded(NAME)
            asked = query[12:16 + len(name)]
            header = query[:2] + b'\x81\x80' + bytes([0, 1, 0, found, 0, 0, 0, 0])
            answer = b'\xc0\x0c' + bytes([0, A, 0, IN, 0, 0, 0, 60, 0, 4]) + socket.inet_aton(address)
            dns.sendto(header + asked + (answer if found else b''), sender)


def question(query):
    return query[12:query.index(b'\0', 12) + 1]


def encoded(name):
    return b''.join(bytes([len(part)]) + part.encode() for part in name.split('.')) + b'\0'
