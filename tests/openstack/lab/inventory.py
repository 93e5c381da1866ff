"""What exists in all projects: two lists taken around a test show what it leaked."""
from lab import fill, stop


def lines(place):
    place.load_ports()
    cloud = fill.connect(place, fill.ADMIN)
    b, compute = cloud.block_storage, cloud.compute
    found = ['volume %s %s %s' % (v.id, v.status, v.name)
             for v in b.volumes(details=True, all_projects=True)]
    found += ['snapshot %s %s %s' % (s.id, s.status, s.name)
              for s in b.snapshots(details=True, all_projects=True)]
    found += ['backup %s %s %s' % (s.id, s.status, s.name)
              for s in b.backups(details=True, all_tenants=True)]
    for kind in ('group', 'group_snapshot'):
        answer = b.get('/%ss/detail?all_tenants=1' % kind, microversion='3.29')
        answer.raise_for_status()
        found += ['%s %s %s %s' % (kind, g['id'], g['status'], g['name']) for g in answer.json()[kind + 's']]
    answer = b.get('/attachments/detail?all_tenants=1', microversion='3.27')
    answer.raise_for_status()
    found += ['attachment %s %s of %s' % (a['id'], a['status'], a['volume_id'])
              for a in answer.json()['attachments']]
    found += ['disk %s of %s, as Nova lists it' % (a.volume_id, server.name)
              for server in compute.servers(all_projects=True) for a in compute.volume_attachments(server)]
    found += ['device %s of %s' % pair for pair in stop.devices(place)]
    return sorted(found)
