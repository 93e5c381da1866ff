"""Certificates and kubeconfigs: made once, kept in the place's `pki`."""
import base64
import os
import secrets

from cluster.place import API_PORT, SERVICES, must

DAYS = '30'


def control_plane(place):
    pki = Pki(place)
    if pki.has('proxy.kubeconfig'):     # the last of them
        return
    pki.authority('ca')
    pki.authority('front-proxy-ca')
    names = ['DNS:kubernetes', 'DNS:kubernetes.default', 'DNS:kubernetes.default.svc',
             'IP:%s.0.1' % SERVICES, 'IP:' + place.address]
    pki.server('apiserver', '/CN=kube-apiserver', names)
    pki.client('apiserver-kubelet', '/O=system:masters/CN=kube-apiserver-kubelet-client')
    pki.client('front-proxy', '/CN=front-proxy-client', authority='front-proxy-ca')
    pki.key('service-accounts')
    pki.run('openssl', 'ec', '-in', 'service-accounts.key', '-pubout', '-out', 'service-accounts.pub')
    for name, subject in (('admin', '/O=system:masters/CN=admin'),
                          ('controller-manager', '/CN=system:kube-controller-manager'),
                          ('scheduler', '/CN=system:kube-scheduler'),
                          ('proxy', '/CN=system:kube-proxy')):
        pki.user(name, subject)


def node(place, n):
    pki, name = Pki(place), place.node_name(n)
    if pki.has('node%d.kubeconfig' % n):
        return
    pki.server('kubelet%d' % n, '/CN=' + name, ['DNS:' + name, 'IP:' + place.node_address(n)])
    pki.user('node%d' % n, '/O=system:nodes/CN=system:node:' + name)


class Pki:
    def __init__(self, place):
        self.dir = place.pki
        self.server_url = 'https://%s:%d' % (place.address, API_PORT)
        os.makedirs(self.dir, exist_ok=True)

    def has(self, name):
        return os.path.exists(os.path.join(self.dir, name))

    def key(self, name):
        self.run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', name + '.key')

    def authority(self, name):
        self.key(name)
        self.run('openssl', 'req', '-x509', '-new', '-key', name + '.key', '-out', name + '.crt', '-days', DAYS,
                 '-subj', '/CN=' + name, '-addext', 'basicConstraints=critical,CA:TRUE',
                 '-addext', 'keyUsage=critical,keyCertSign,digitalSignature')

    def client(self, name, subject, authority='ca'):
        self._signed(name, subject, authority, 'extendedKeyUsage=clientAuth')

    def server(self, name, subject, names):
        self._signed(name, subject, 'ca', 'extendedKeyUsage=serverAuth\nsubjectAltName=' + ','.join(names))

    def user(self, name, subject):
        self.client(name, subject)
        with open(os.path.join(self.dir, name + '.kubeconfig'), 'w') as f:
            f.write(KUBECONFIG % (self.server_url, self._text('ca.crt'), name, self._text(name + '.crt'),
                                  self._text(name + '.key'), name))

    def run(self, *command):
        must(*command, cwd=self.dir, umask=0o077)

    def _signed(self, name, subject, authority, extensions):
        self.key(name)
        self.run('openssl', 'req', '-new', '-key', name + '.key', '-subj', subject, '-out', name + '.csr')
        with open(os.path.join(self.dir, name + '.ext'), 'w') as f:
            f.write('keyUsage=critical,digitalSignature,keyEncipherment\n%s\n' % extensions)
        self.run('openssl', 'x509', '-req', '-in', name + '.csr', '-CA', authority + '.crt', '-CAkey', authority + '.key',
                 '-set_serial', '0x' + secrets.token_hex(12), '-days', DAYS, '-extfile', name + '.ext', '-out', name + '.crt')

    def _text(self, name):
        with open(os.path.join(self.dir, name), 'rb') as f:
            return base64.b64encode(f.read()).decode()


KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: %s, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: lab, context: {cluster: lab, user: %s}}]
current-context: lab
"""
