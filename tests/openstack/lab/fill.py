"""What the tests find in the cloud: users, types, quotas, servers and settings files."""
import os
import time

import openstack

from lab.place import PASSWORD, REGION, ZONES

TENANT = ('csi', 'k8s')
SMALL = ('csi-small', 'k8s-small')
ADMIN = ('admin', 'admin')
SMALL_QUOTA = {'volumes': 2, 'gigabytes': 4, 'per_volume_gigabytes': 4, 'snapshots': 1}
SERVERS = {'node-1': 'az1', 'node-2': 'az1', 'node-3': 'az2'}


def connect(place, who, **more):
    return openstack.connect(
        auth_url=place.url('keystone', '/v3'), username=who[0], password=PASSWORD,
        project_name=who[1], user_domain_name='Default', project_domain_name='Default',
        region_name=REGION, **more)


def identity(place):
    """Users, roles and the catalog: before any other service can start."""
    k = connect(place, ADMIN).identity
    roles = {r.name: r for r in k.roles()}
    service = roles.get('service') or k.create_role(name='service')
    project = k.create_project(name='service', domain_id='default')
    for name in ('cinder', 'nova', 'placement', 'neutron'):
        u = k.create_user(name=name, password=PASSWORD, domain_id='default')
        for role in (roles['admin'], service):
            k.assign_project_role_to_user(project, u, role)
    for name, tenant in (TENANT, SMALL):
        p = k.create_project(name=tenant, domain_id='default')
        u = k.create_user(name=name, password=PASSWORD, domain_id='default')
        k.assign_project_role_to_user(p, u, roles['member'])
    federation(k, roles['member'])
    volumes = place.url('cinder', '/v3/$(project_id)s')
    for kind, name, url in (('volumev3', 'cinderv3', volumes), ('block-storage', 'cinder', volumes),
                            ('compute', 'nova', place.url('nova', '/v2.1')),
                            ('placement', 'placement', place.url('placement')),
                            ('network', 'neutron', place.url('neutron'))):
        s = k.create_service(name=name, type=kind)
        for interface in ('public', 'internal', 'admin'):
            k.create_endpoint(service_id=s.id, interface=interface, url=url, region_id=REGION)


def federation(k, member):
    """Whom the identity provider of drivers/federation.py vouches for is a member of the tenant's project.
    The protocol is called as one of Keystone's methods: another name would need a setting."""
    group = k.create_group(name='lab-federated', domain_id='default')
    k.assign_project_role_to_group(k.find_project(TENANT[1]), group, member)
    k.create_mapping(id='lab-federated', rules=[{
        'local': [{'user': {'name': '{0}'}, 'group': {'id': group.id}}],
        'remote': [{'type': 'REMOTE_USER'}]}])
    k.create_identity_provider(id='lab-idp', is_enabled=True)
    k.create_federation_protocol('lab-idp', id='mapped', mapping_id='lab-federated')


class Reports:
    """Which services report up; of one started just now only a report of its own counts,
    since the record of its last life is good for a while."""

    def __init__(self, place, started, since):
        admin = connect(place, ADMIN)
        self.clients = (admin.block_storage, admin.compute)
        self.started = started
        self.since = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(since))

    def has(self, name):
        rows = [s for c in self.clients for s in c.get('/os-services').json().get('services', [])]
        mine = [s for s in rows if name in (s['binary'], '%s-%s' % (s['binary'], s['host']))]
        return len(mine) >= (len(ZONES) if name == 'cinder-volume' else 1) and all(
            s['state'] == 'up' and (name not in self.started or (s['updated_at'] or '') > self.since)
            for s in mine)

    def has_pools(self):
        """A volume service that is up counts for nothing until the scheduler has heard of its room:
        a volume created before is in error."""
        pools = self.clients[0].get('/scheduler-stats/get_pools').json().get('pools', [])
        return len(pools) >= len(ZONES)


def cloud(place):
    """Volume types, quotas, zones and three servers."""
    admin = connect(place, ADMIN)
    b = admin.block_storage
    b.create_type(name='lab', extra_specs={'volume_backend_name': 'loopfile'})
    # another name and the same place: a volume can be retyped while it is attached
    b.create_type(name='lab-fast', extra_specs={'volume_backend_name': 'loopfile', 'lab:speed': 'fast'})
    b.create_type(name='lab-multiattach', extra_specs={
        'volume_backend_name': 'loopfile', 'multiattach': '<is> True'})
    b.create_type(name='lab-nowhere', extra_specs={'volume_backend_name': 'no-such-backend'})
    consistent = b.create_group_type(name='lab-consistent')
    b.create_group_type_group_specs(consistent, {'consistent_group_snapshot_enabled': '<is> True'})
    admin.set_volume_quotas(admin.identity.find_project(SMALL[1]).id, **SMALL_QUOTA)
    for zone, host in ZONES.items():
        a = admin.compute.create_aggregate(name=zone, availability_zone=zone)
        admin.compute.add_host_to_aggregate(a, host)
    flavor = admin.compute.create_flavor(name='lab.tiny', ram=256, vcpus=1, disk=0)
    servers(connect(place, TENANT), flavor)


def servers(tenant, flavor):
    """Booted from volumes, as there is no Glance."""
    roots = {n: tenant.block_storage.create_volume(name=n + '-root', size=1, availability_zone=z)
             for n, z in SERVERS.items()}
    ids = []
    for name, root in roots.items():
        tenant.block_storage.wait_for_status(root, 'available', interval=0.2, wait=60)
        tenant.block_storage.set_volume_bootable_status(root, True)
        r = tenant.compute.post('/servers', microversion='2.74', json={'server': {
            'name': name, 'flavorRef': flavor.id, 'networks': 'none',
            'availability_zone': SERVERS[name],
            'block_device_mapping_v2': [{
                'boot_index': 0, 'uuid': root.id, 'source_type': 'volume',
                'destination_type': 'volume', 'delete_on_termination': True}]}})
        if r.status_code >= 300:
            raise SystemExit('lab: server %s: %d %s' % (name, r.status_code, r.text))
        ids.append(r.json()['server']['id'])
    for i in ids:
        tenant.compute.wait_for_server(tenant.compute.get_server(i), interval=0.3, wait=120)


def files(place):
    """cloud.conf and its kin, clouds.yaml, openrc, servers.env."""
    tenant = connect(place, TENANT)
    secret = application_credential(tenant)
    url = place.url('keystone', '/v3')
    put(place, 'cloud.conf', cloud_conf(url, TENANT))
    put(place, 'cloud-small.conf', cloud_conf(url, SMALL))
    put(place, 'cloud-application-credential.conf',
        '[Global]\nauth-url = %s\napplication-credential-id = %s\n'
        'application-credential-secret = %s\nregion = %s\n' % ((url,) + secret + (REGION,)))
    put(place, 'clouds.yaml', 'clouds:\n' + ''.join(
        password_cloud(url, name, who)
        for name, who in (('lab', TENANT), ('lab-small', SMALL), ('lab-admin', ADMIN))
    ) + '  lab-application-credential:\n    auth_type: v3applicationcredential\n    auth:\n'
        '      auth_url: %s\n      application_credential_id: %s\n'
        '      application_credential_secret: %s\n    region_name: %s\n' % ((url,) + secret + (REGION,))
        + federated_cloud(place, url))
    put(place, 'openrc', ''.join('export OS_%s=%s\n' % kv for kv in (
        ('AUTH_URL', url), ('USERNAME', TENANT[0]), ('PASSWORD', PASSWORD),
        ('PROJECT_NAME', TENANT[1]), ('USER_DOMAIN_NAME', 'Default'),
        ('PROJECT_DOMAIN_NAME', 'Default'), ('REGION_NAME', REGION), ('IDENTITY_API_VERSION', 3))))
    servers = sorted(tenant.compute.servers(), key=lambda s: s.name)
    put(place, 'servers.env', ''.join(
        '%s=%s\n' % (s.name.upper().replace('-', '_'), s.id) for s in servers))
    for s in servers:
        os.makedirs(place.inside('dev', s.id), exist_ok=True)


def application_credential(tenant):
    """The tenant's, with a secret that we choose, so that it is the same at every start."""
    me = tenant.current_user_id
    found = tenant.identity.find_application_credential(me, 'lab', ignore_missing=True)
    found = found or tenant.identity.create_application_credential(me, 'lab', secret=PASSWORD)
    return found.id, PASSWORD


def cloud_conf(url, who):
    return ('[Global]\nauth-url = %s\nusername = %s\npassword = %s\ntenant-name = %s\n'
            'domain-name = Default\nregion = %s\n' % (url, who[0], PASSWORD, who[1], REGION))


def password_cloud(url, name, who):
    return ('  %s:\n    auth:\n      auth_url: %s\n      username: %s\n      password: %s\n'
            '      project_name: %s\n      user_domain_name: Default\n'
            '      project_domain_name: Default\n    region_name: %s\n'
            % (name, url, who[0], PASSWORD, who[1], REGION))


def federated_cloud(place, url):
    return ('  lab-federated:\n    auth_type: v3oidcclientcredentials\n    auth:\n      auth_url: %s\n'
            '      identity_provider: lab-idp\n      protocol: mapped\n      client_id: csi-client\n'
            '      client_secret: clientsecret\n      access_token_endpoint: %s\n'
            '      project_name: %s\n      project_domain_name: Default\n    region_name: %s\n'
            % (url, place.url('keystone', '/idp/token'), TENANT[1], REGION))


def put(place, name, text):
    path = os.path.join(place.dir, name)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, 'w') as f:
        f.write(text)
