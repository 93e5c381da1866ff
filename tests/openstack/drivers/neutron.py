"""neutron.py ADDRESS PORT: what Nova asks of Neutron about servers without a network.

Whenever Nova shows or deletes a server it lists its ports; every list is empty.
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        parts = self.path.split('?')[0].strip('/').split('/')
        if parts == ['']:
            self.send(200, {'versions': [{'id': 'v2.0', 'status': 'CURRENT', 'links': [
                {'rel': 'self', 'href': 'http://%s/v2.0/' % self.headers['Host']}]}]})
        elif len(parts) == 2:
            self.send(200, {parts[1].replace('-', '_'): []})
        else:
            self.send(404, {'NeutronError': {'type': 'NotFound', 'message': self.path, 'detail': ''}})

    def send(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
