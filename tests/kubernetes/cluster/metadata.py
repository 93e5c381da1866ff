"""metadata.py PID UUID ZONE: Nova's metadata service in the network namespace of the process PID, for as long as that lives.

Of the document (https://docs.openstack.org/nova/latest/user/metadata.html) it has what tells who a server is.
"""
import ctypes
import json
import os
import select
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = '169.254.169.254'
CLONE_NEWNET = 0x40000000


class Answer(BaseHTTPRequestHandler):
    document = b''

    def do_GET(self):
        known = self.path == '/openstack/latest/meta_data.json'
        self.send_response(200 if known else 404)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(self.document) if known else 0))
        self.end_headers()
        if known:
            self.wfile.write(self.document)

    def log_message(self, *_):
        pass


def enter_network_of(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    with open('/proc/%d/ns/net' % pid) as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace.name)


def main(pid, uuid, zone):
    node = os.pidfd_open(pid)
    enter_network_of(pid)
    subprocess.run(['ip', 'addr', 'replace', ADDRESS + '/32', 'dev', 'lo'], check=True)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    Answer.document = json.dumps({'uuid': uuid, 'availability_zone': zone, 'devices': []}).encode()
    server = ThreadingHTTPServer((ADDRESS, 80), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    select.select([node], [], [])


main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
