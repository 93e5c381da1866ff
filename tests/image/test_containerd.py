import json
import socket
import subprocess
import unittest
import urllib.request
from pathlib import Path

from private_containerd import Containerd, wait_for
from unpacked import IMAGE, Unpacked, read, settings

CLOUD_CONF = '''\
[Global]
auth-url = http://127.0.0.1:1/v3
application-credential-id = 4a3b
application-credential-secret = "not this one"
'''


class InContainerd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.containerd = Containerd()
        cls.addClassCleanup(cls.containerd.stop)
        cls.containerd.ctr('images', 'import', IMAGE)
        cls.tag = json.loads(read(IMAGE, 'manifest.json'))[0]['RepoTags'][0]

    def test_it_has_its_name_and_digest(self):
        digest = json.loads(read(IMAGE, 'index.json'))['manifests'][0]['digest']
        listed = self.containerd.ctr('images', 'list', 'name==' + self.tag)
        self.assertIn(digest, listed)
        self.assertIn('linux/' + settings()['architecture'], listed)

    def test_without_a_command_the_driver_says_what_it_needs(self):
        done = subprocess.run(self.containerd.command('run', '--rm', self.tag, 'bare'),
                              capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('--endpoint', done.stdout + done.stderr)

    def test_the_controller_needs_no_root_no_capability_and_no_writable_root(self):
        port = free_port()
        driver = self.controller('/bin/cinder-csi-plugin', port)
        wait_for(driver.stdout, 'serving CSI')
        pid = json.loads(subprocess.check_output([*self.runc(), 'state', 'controller']))['pid']
        status = Path('/proc/%d/status' % pid).read_text()
        for line in 'Uid:\t65532', 'CapBnd:\t0000000000000000', 'CapEff:\t0000000000000000', \
                'CapPrm:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2':
            self.assertIn(line, status)
        self.assertEqual(root_option(pid), 'ro')
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.containerd.place / 'csi/csi.sock'))
        with urllib.request.urlopen('http://127.0.0.1:%d/healthz' % port) as answer:
            self.assertEqual(answer.status, 200)
        subprocess.run([*self.runc(), 'kill', 'controller', 'TERM'], check=True)
        rest = driver.communicate()[0]
        self.assertEqual(driver.returncode, 0, rest)

    def controller(self, program, port):
        """As a Pod has it: an emptyDir for the socket, a Secret, RuntimeDefault, no new privileges."""
        place = self.containerd.place
        (place / 'csi').mkdir()
        (place / 'csi').chmod(0o777)
        (place / 'config').mkdir()
        (place / 'config/cloud.conf').write_text(CLOUD_CONF)
        mounts = ['--mount=type=bind,src=%s/%s,dst=%s,options=rbind:%s' % (place, *each)
                  for each in (('csi', '/csi', 'rw'), ('config', '/etc/config', 'ro'))]
        self.containerd.ctr(
            'containers', 'create', '--read-only', '--seccomp', '--net-host', *mounts,
            self.tag, 'controller', program, '--endpoint=unix:///csi/csi.sock',
            '--cloud-config=/etc/config/cloud.conf', '--provide-node-service=false', '--http-endpoint=127.0.0.1:%d' % port)
        self.bundle(json.loads(self.containerd.ctr('containers', 'info', '--spec', 'controller')))
        driver = subprocess.Popen(
            [*self.runc(), 'run', '--bundle', place / 'bundle', 'controller'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(self.end, driver)
        return driver

    def bundle(self, spec):
        """containerd's own specification, less what this ctr can't leave out."""
        unpacked = Unpacked()
        self.addCleanup(unpacked.remove)
        spec['root']['path'] = str(unpacked.root)
        spec['process']['user'] = {'uid': 65532, 'gid': 65532}
        spec['process']['capabilities'] = {}
        (self.containerd.place / 'bundle').mkdir()
        (self.containerd.place / 'bundle/config.json').write_text(json.dumps(spec))

    def runc(self):
        return 'runc', '--root', self.containerd.place / 'runc'

    def end(self, driver):
        if driver.poll() is None:
            subprocess.run([*self.runc(), 'kill', 'controller', 'KILL'], check=True)
            driver.communicate()
        driver.stdout.close()


def root_option(pid):
    mounts = Path('/proc/%d/mountinfo' % pid).read_text().splitlines()
    return next(fields[5] for fields in map(str.split, mounts) if fields[4] == '/').split(',')[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
