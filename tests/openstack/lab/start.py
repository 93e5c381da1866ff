"""Brings the lab up. What runs is left alone, what is missing is started."""
import os
import subprocess
import time
import urllib.error
import urllib.request

from lab import conf, fill, stop
from lab.place import DRIVERS, IP, PASSWORD, REGION, ZONES, Place, is_free, made_by
from lab.processes import Processes

APIS = {    # name: what serves it, on how many threads
    'keystone': ('federation:application', 4),
    'placement': ('placement.wsgi.api:application', 2),
    'cinder': ('cinder.wsgi.api:application', 8),
    'nova': ('nova.wsgi.osapi_compute:application', 8),
}
HEALTH = {'keystone': '/v3', 'placement': '/', 'cinder': '/healthcheck', 'nova': '/v2.1/'}
DATABASES = ('keystone', 'cinder', 'placement', 'nova_api', 'nova_cell0', 'nova_cell1')


def up(fresh):
    lab = Lab(Place())
    if fresh or lab.place.is_outdated():
        stop.down(lab.place, wipe=True)
    lab.place.make()
    lab.settle_ports()
    lab.place.mark('begun', made_by())
    conf.write(lab.place)
    lab.infrastructure()
    lab.databases()
    lab.apis()
    lab.say('ready: export CINDER_CSI_LAB=%s' % lab.place.dir)


class Lab:
    def __init__(self, place):
        self.place = place
        self.processes = Processes(place)
        self.began = time.time()
        os.environ.update(
            PATH='%s/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' % place.venv,
            LAB_STATE=place.state, PYTHONPATH='%s:%s' % (os.path.dirname(DRIVERS), DRIVERS),
            PYTHONUNBUFFERED='1', OS_NOVA_CONFIG_DIR=place.etc + '/nova',
            OS_PLACEMENT_CONFIG_DIR=place.etc + '/placement')

    def say(self, what):
        print('lab: %5.1f s  %s' % (time.time() - self.began, what), flush=True)

    def settle_ports(self):
        """The catalog and the cells name the ports of the first start, so a start
        whose ports someone else has taken begins anew."""
        p = self.place
        known = p.load_ports()
        if known and not any(self.processes.running(n) for n in self.processes.names()):
            taken = [port for port in p.ports.values() if not is_free(port)]
            if taken:
                self.say('others listen on %s now: starting afresh' % taken)
                stop.down(p, wipe=True)
                p.make()
                known = False
        if not known:
            p.choose_ports()

    def infrastructure(self):
        p, start = self.place, self.processes.start
        if not os.path.isdir(p.inside('mysql', 'mysql')):
            self.command('mariadb-install', 'mariadb-install-db', '--defaults-file=%s/my.cnf' % p.etc,
                         '--auth-root-authentication-method=normal', '--skip-test-db')
        start('mariadb', 'mariadbd', '--defaults-file=%s/my.cnf' % p.etc)
        start('memcached', 'memcached', '-u', 'root', '-l', IP, '-p', str(p.ports['memcached']),
              '-U', '0', '-m', '64')
        start('neutron', p.venv + '/bin/python', DRIVERS + '/neutron.py', p.address, str(p.ports['neutron']))
        start('epmd', 'epmd', '-address', IP, '-port', str(p.ports['epmd']))
        self.wait('epmd', lambda: not is_free(p.ports['epmd']))
        start('rabbitmq', '/usr/lib/rabbitmq/bin/rabbitmq-server', env=self.rabbitmq())
        self.wait('mariadb', self.let_root_in)
        self.say('mariadb is up')

    def rabbitmq(self):
        p, home = self.place, self.place.inside('rabbitmq')
        os.makedirs(home, exist_ok=True)
        enabled = os.path.join(home, 'enabled_plugins')
        open(enabled, 'w').write('[].\n')
        return {
            'HOME': home, 'ERL_EPMD_ADDRESS': IP, 'ERL_EPMD_PORT': str(p.ports['epmd']),
            'RABBITMQ_NODENAME': 'lab@localhost', 'RABBITMQ_DIST_PORT': str(p.ports['rabbitmq_dist']),
            'RABBITMQ_NODE_IP_ADDRESS': IP, 'RABBITMQ_NODE_PORT': str(p.ports['rabbitmq']),
            'RABBITMQ_CONFIG_FILE': p.etc + '/rabbitmq.conf',
            'RABBITMQ_ADVANCED_CONFIG_FILE': p.etc + '/rabbitmq-advanced.config',
            'RABBITMQ_MNESIA_BASE': home + '/mnesia', 'RABBITMQ_LOG_BASE': p.logs + '/rabbitmq',
            'RABBITMQ_ENABLED_PLUGINS_FILE': enabled,
            'RABBITMQ_PID_FILE': home + '/pid', 'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            # one scheduler that sleeps when idle: two labs and the tests share the machine
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+sbwt none +sbwtdcpu none +sbwtdio none +S 1:1'}

    def let_root_in(self):
        """Over TCP with the lab's password; on the first start by the socket without one."""
        if self.sql('select 1'):
            return True
        grant = ("ALTER USER root@localhost IDENTIFIED BY '{0}';"
                 "CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{0}';"
                 "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION").format(PASSWORD)
        subprocess.run(['mariadb', '--no-defaults', '-S', self.place.run + '/mysql.sock', '-uroot',
                        '-e', grant], capture_output=True)
        return self.sql('select 1')

    def sql(self, text):
        return subprocess.run(
            ['mariadb', '--no-defaults', '-h', IP, '-P', str(self.place.ports['mariadb']), '-uroot',
             '-p' + PASSWORD, '-e', text], capture_output=True).returncode == 0

    def databases(self):
        p = self.place
        if p.done('databases'):
            return
        self.sql(';'.join('CREATE DATABASE IF NOT EXISTS ' + d for d in DATABASES))
        url = p.url('keystone', '/v3/')
        k = 'keystone-manage --config-file %s/keystone.conf ' % p.etc
        n = 'nova-manage --config-file %s/nova/nova.conf ' % p.etc
        scripts = {
            'keystone': [
                k + 'fernet_setup --keystone-user root --keystone-group root',
                k + 'credential_setup --keystone-user root --keystone-group root',
                k + 'db_sync',
                k + 'bootstrap --bootstrap-password %s --bootstrap-admin-url %s '
                    '--bootstrap-public-url %s --bootstrap-internal-url %s --bootstrap-region-id %s'
                % (PASSWORD, url, url, url, REGION)],
            'cinder': ['cinder-manage --config-file %s/cinder.conf db sync' % p.etc],
            'placement': ['placement-manage --config-file %s/placement/placement.conf db sync' % p.etc],
            'nova': [
                n + 'api_db sync',
                n + "cell_v2 map_cell0 --database_connection '%s'" % conf.database(p, 'nova_cell0'),
                n + "cell_v2 create_cell --name cell1 --database_connection '%s' --transport-url %s"
                % (conf.database(p, 'nova_cell1'), conf.transport(p)),
                n + 'db sync']}
        for d in ('fernet', 'credential-keys'):
            os.makedirs(p.inside(d), mode=0o700, exist_ok=True)
        running = {name: self.spawn('sync-' + name, 'sh', '-ec', '\n'.join(lines))
                   for name, lines in scripts.items()}
        for name, process in running.items():
            if process.wait():
                raise SystemExit('lab: no database for %s, see %s/sync-%s.out' % (name, p.logs, name))
        p.mark('databases')
        self.say('databases are made')

    def apis(self):
        p, start = self.place, self.processes.start
        cinder = ('--config-file', p.etc + '/cinder.conf')
        nova = ('--config-file', p.etc + '/nova/nova.conf')
        self.wait('rabbitmq', lambda: not is_free(p.ports['rabbitmq']))
        arguments = {'keystone': ('--config-file', p.etc + '/keystone.conf'), 'cinder': cinder + (
            '--log-file', p.logs + '/cinder-api.log'), 'nova': nova + (
            '--log-file', p.logs + '/nova-api.log')}
        for name, (target, threads) in APIS.items():
            start(name + '-api', p.venv + '/bin/python', DRIVERS + '/serve.py', p.address, str(p.ports[name]),
                  target, str(threads), *arguments.get(name, ()))
        start('cinder-scheduler', p.venv + '/bin/python', DRIVERS + '/scheduler.py', *cinder,
              '--log-file', p.logs + '/cinder-scheduler.log')
        for name in ('cinder-volume', 'cinder-backup'):
            start(name, name, *cinder)
        for name in ('nova-scheduler', 'nova-conductor'):
            start(name, name, *nova)
        self.wait('keystone-api', lambda: self.answers('keystone'))
        if not p.done('identity'):
            fill.identity(p)
            p.mark('identity')
        self.say('keystone is up')
        for host in ZONES.values():
            start('nova-compute-' + host, p.venv + '/bin/python', DRIVERS + '/compute.py',
                  '--config-file', '%s/%s.conf' % (p.etc, host),
                  '--log-file', '%s/nova-compute-%s.log' % (p.logs, host))
        for name in ('placement', 'cinder', 'nova'):
            self.wait(name + '-api', lambda: self.answers(name))
        self.say('the APIs are up')
        self.wait_for_services()
        self.say('the services report up')
        if not p.done('cloud'):
            self.command('discover-hosts', 'nova-manage', *nova, 'cell_v2', 'discover_hosts')
            fill.cloud(p)
            p.mark('cloud')
            self.say('types, quotas and servers are made')
        fill.files(p)

    def wait_for_services(self):
        reports = fill.Reports(self.place, self.processes.started, self.began)
        for name in ('cinder-scheduler', 'cinder-volume', 'cinder-backup', 'nova-scheduler', 'nova-conductor',
                     *('nova-compute-' + h for h in ZONES.values())):
            self.wait(name, lambda: reports.has(name))
        self.wait('cinder-scheduler', reports.has_pools)

    def answers(self, name):
        try:
            urllib.request.urlopen(self.place.url(name, HEALTH[name]), timeout=30).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def wait(self, name, ready, seconds=120):
        end = time.monotonic() + seconds
        while not ready():
            if not self.processes.running(name) or time.monotonic() > end:
                raise SystemExit('lab: %s did not come up, see %s/%s.*' % (name, self.place.logs, name))
            time.sleep(0.2)

    def spawn(self, name, *command):
        with open(os.path.join(self.place.logs, name + '.out'), 'ab') as out:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def command(self, name, *command):
        if self.spawn(name, *command).wait():
            raise SystemExit('lab: %s failed, see %s/%s.out' % (command[0], self.place.logs, name))
