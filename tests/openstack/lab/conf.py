"""Every configuration file, written anew at each start."""
import os
import shutil

from lab.place import DISKS, IP, PASSWORD, REGION, ZONES

# a member sees which group types are consistent: by default only administrators do
CINDER_POLICY = '"group:group_types_specs:get_all": "rule:admin_api or role:member"\n'


def write(place):
    write_file(place, 'my.cnf', ini(mariadb(place)))
    write_file(place, 'rabbitmq.conf', rabbitmq(place))
    write_file(place, 'rabbitmq-advanced.config',
               '[{kernel,[{inet_dist_use_interface,{127,0,0,1}}]}].\n')
    write_file(place, 'keystone.conf', ini(keystone(place)))
    write_file(place, 'placement/placement.conf', ini(placement(place)))
    write_file(place, 'cinder.conf', ini(cinder(place)))
    write_file(place, 'cinder-policy.yaml', CINDER_POLICY)
    write_file(place, 'nova/nova.conf', ini(nova(place)))
    # Nova's WSGI module looks for it beside nova.conf and nowhere else
    shutil.copy(place.venv + '/etc/nova/api-paste.ini', place.etc + '/nova/')
    for zone, host in ZONES.items():
        write_file(place, host + '.conf', ini(compute(place, host)))
        os.makedirs(place.inside('nova-' + host), exist_ok=True)


def database(place, name):
    return 'mysql+pymysql://root:%s@%s:%d/%s?charset=utf8' % (
        PASSWORD, IP, place.ports['mariadb'], name)


def transport(place):
    return 'rabbit://guest:guest@%s:%d/' % (IP, place.ports['rabbitmq'])


def mariadb(place):
    return {'mysqld': {
        'user': 'root', 'datadir': place.inside('mysql'),
        'socket': place.run + '/mysql.sock', 'pid-file': place.run + '/mariadb.mysqld-pid',
        'bind-address': IP, 'port': place.ports['mariadb'], 'log-error': place.logs + '/mariadb.log',
        'skip-log-bin': 1, 'skip-name-resolve': 1, 'max_connections': 500,
        'performance_schema': 'OFF', 'innodb_buffer_pool_size': '64M',
        # the state of a lab is disposable, so its database waits for no disk; what it has confirmed outlives its process
        'innodb_flush_log_at_trx_commit': 2, 'innodb_doublewrite': 0,
        'character-set-server': 'utf8mb3', 'collation-server': 'utf8mb3_general_ci'}}


def rabbitmq(place):
    return ('listeners.tcp.1 = %s:%d\n'
            'log.file.level = warning\n'
            'vm_memory_high_watermark.absolute = 1GB\n'
            'disk_free_limit.absolute = 50MB\n') % (IP, place.ports['rabbitmq'])


def keystone(place):
    return {
        'DEFAULT': {'log_file': place.logs + '/keystone.log', 'use_stderr': False},
        'database': {'connection': database(place, 'keystone'), 'max_pool_size': 5},
        'token': {'provider': 'fernet', 'expiration': 14400},
        'fernet_tokens': {'key_repository': place.inside('fernet')},
        'credential': {'key_repository': place.inside('credential-keys')},
        'cache': {'enabled': True, 'backend': 'dogpile.cache.memcached',
                  'memcache_servers': memcached(place)},
        'identity': {'password_hash_rounds': 4}}


def placement(place):
    return {
        'DEFAULT': {'log_file': place.logs + '/placement.log', 'use_stderr': False},
        'api': {'auth_strategy': 'keystone'},
        'placement_database': {'connection': database(place, 'placement'), 'max_pool_size': 5},
        'keystone_authtoken': token_check(place, 'placement')}


def cinder(place):
    state = place.inside('cinder')
    first = next(iter(ZONES))
    conf = {
        'DEFAULT': {
            'my_ip': IP, 'host': 'lab', 'use_stderr': False, 'log_dir': place.logs,
            'transport_url': transport(place), 'auth_strategy': 'keystone',
            'api_paste_config': place.venv + '/etc/cinder/api-paste.ini',
            'resource_query_filters_file': place.venv + '/etc/cinder/resource_filters.json',
            'state_path': state,
            'default_volume_type': 'lab', 'default_availability_zone': first,
            'storage_availability_zone': first, 'allow_availability_zone_fallback': False,
            'enabled_backends': ','.join('loop-' + z for z in ZONES),
            'quota_volumes': 1000, 'quota_snapshots': 3000, 'quota_gigabytes': 20000,
            'quota_backups': 1000, 'quota_backup_gigabytes': 20000,
            'backup_driver': 'filebackup.FileBackupDriver',
            'scheduler_default_filters': 'AvailabilityZoneFilter,CapacityFilter,CapabilitiesFilter,'
                                         'SameBackendFilter,DifferentBackendFilter',
            # Of 64 messages at once, the default, some wait 30 s for one of 55 connections to the database: such a one is
            # lost, and what it was to make stays `creating`.
            'executor_thread_pool_size': 32,
            'service_down_time': 120, 'report_interval': 5},
        'database': {'connection': database(place, 'cinder'), 'max_pool_size': 5},
        'oslo_concurrency': {'lock_path': state + '/lock'},
        'oslo_policy': {'policy_file': place.etc + '/cinder-policy.yaml'},
        'coordination': {'backend_url': 'file://' + state + '/coordination'},
        'keystone_authtoken': token_check(place, 'cinder'),
        'nova': user(place, 'cinder', region_name=REGION),
        'service_user': user(place, 'cinder', send_service_user_token=True),
        # the lab is root's and has no sudo
        'privsep_osbrick': {'helper_command': '%s/bin/privsep-helper --config-file %s/cinder.conf'
                            % (place.venv, place.etc)},
        **messages()}
    for zone in ZONES:
        conf['loop-' + zone] = {
            'volume_driver': 'loopfile.LoopFileDriver', 'volume_backend_name': 'loopfile',
            'backend_availability_zone': zone, 'loopfile_dir': os.path.join(place.volumes, zone)}
    return conf


def nova(place):
    return {
        'DEFAULT': {
            'my_ip': IP, 'host': 'lab', 'use_stderr': False, 'log_dir': place.logs,
            'transport_url': transport(place), 'state_path': place.inside('nova'),
            'compute_driver': 'loopvirt.LoopVirtDriver',
            'heal_instance_info_cache_interval': -1, 'sync_power_state_interval': -1,
            'vif_plugging_is_fatal': False, 'vif_plugging_timeout': 0,
            'default_schedule_zone': next(iter(ZONES)),
            'service_down_time': 120, 'report_interval': 5},
        'api': {'auth_strategy': 'keystone'},
        'api_database': {'connection': database(place, 'nova_api'), 'max_pool_size': 5},
        'database': {'connection': database(place, 'nova_cell1'), 'max_pool_size': 5},
        'oslo_concurrency': {'lock_path': place.inside('nova', 'lock')},
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': -1},
        'filter_scheduler': {'enabled_filters': 'ComputeFilter,ComputeCapabilitiesFilter'},
        'quota': {'instances': 100, 'cores': 1000, 'ram': 1000000},
        'vnc': {'enabled': False},
        'image_cache': {'manager_interval': -1},
        # there is no Glance: Nova makes a URL of this and calls nothing
        'glance': {'api_servers': 'http://%s:9' % IP},
        'cinder': user(place, 'nova', os_region_name=REGION,
                       catalog_info='block-storage::publicURL', cross_az_attach=True),
        'keystone_authtoken': token_check(place, 'nova'),
        'placement': user(place, 'placement', region_name=REGION),
        'neutron': user(place, 'neutron', region_name=REGION),
        'service_user': user(place, 'nova', send_service_user_token=True),
        **messages()}


def compute(place, host):
    """nova-compute refuses to start where it sees a database."""
    conf = nova(place)
    del conf['database'], conf['api_database']
    state = place.inside('nova-' + host)
    conf['DEFAULT'].update(host=host, state_path=state)
    conf['oslo_concurrency'] = {'lock_path': state + '/lock'}
    if host in DISKS:
        conf['compute'] = {'max_disk_devices_to_attach': DISKS[host]}
    return conf


def user(place, name, **more):
    return dict({
        'auth_url': place.url('keystone', '/v3'), 'auth_type': 'password',
        'username': name, 'password': PASSWORD, 'user_domain_name': 'Default',
        'project_name': 'service', 'project_domain_name': 'Default'}, **more)


def token_check(place, name):
    return user(place, name, www_authenticate_uri=place.url('keystone', '/v3'),
                memcached_servers=memcached(place), service_token_roles='service',
                service_token_roles_required=True)


def memcached(place):
    return '%s:%d' % (IP, place.ports['memcached'])


def messages():
    return {'oslo_messaging_rabbit': {
                'heartbeat_timeout_threshold': 0, 'rabbit_quorum_queue': False,
                'rabbit_transient_quorum_queue': False},
            'oslo_messaging_notifications': {'driver': 'noop'}}


def ini(sections):
    return ''.join('[%s]\n%s\n' % (s, ''.join('%s = %s\n' % kv for kv in keys.items()))
                   for s, keys in sections.items())


def write_file(place, name, text):
    path = os.path.join(place.etc, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
