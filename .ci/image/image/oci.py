"""One tar that is an OCI image layout, and has the manifest.json that `docker load` looks for.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
The layers are not compressed: what zlib makes of the same bytes differs between its versions.
"""
import hashlib
import io
import json
import tarfile
from datetime import datetime, timezone

from image.tree import Directory, Link, relative, with_parents

TYPE = 'application/vnd.oci.image.'
SEARCH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def layer(entries, epoch):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for path, entry in with_parents(entries).items():
            add(archive, path, entry, epoch)
    return content.getvalue()


def add(archive, path, entry, epoch):
    info = tarfile.TarInfo(path)
    info.mtime = epoch
    if isinstance(entry, Directory):
        info.type, info.mode = tarfile.DIRTYPE, entry.mode
        archive.addfile(info)
    elif isinstance(entry, Link):
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, relative(path, entry)
        archive.addfile(info)
    else:
        info.mode, info.size = entry.mode, len(entry.data)
        archive.addfile(info, io.BytesIO(entry.data))


def config(arch, layers, labels, epoch):
    # No Entrypoint: manifests for the existing driver give /bin/cinder-csi-plugin as the first of `args`.
    # No User: a node's driver is root, also where a manifest doesn't say so.
    return {
        'created': stamp(epoch), 'architecture': arch, 'os': 'linux',
        'config': {'Env': ['PATH=' + SEARCH], 'Cmd': ['/bin/cinder-csi'], 'WorkingDir': '/',
                   'Labels': labels},
        'rootfs': {'type': 'layers', 'diff_ids': [digest(each) for each in layers]},
        'history': [{'created': stamp(epoch), 'created_by': '.ci/image/build'} for _ in layers],
    }


def image(arch, layers, labels, tag, epoch):
    """The tar, and the digest of the manifest."""
    blobs = {}

    def blob(kind, content, **more):
        blobs['blobs/sha256/' + digest(content).split(':')[1]] = content
        return {'mediaType': TYPE + kind, 'digest': digest(content), 'size': len(content)} | more

    settings = blob('config.v1+json', packed(config(arch, layers, labels, epoch)))
    manifest = blob('manifest.v1+json', packed({
        'schemaVersion': 2, 'mediaType': TYPE + 'manifest.v1+json', 'config': settings,
        'layers': [blob('layer.v1.tar', each) for each in layers],
    }), platform={'architecture': arch, 'os': 'linux'}, annotations={
        'io.containerd.image.name': tag, 'org.opencontainers.image.ref.name': tag.rpartition(':')[2]})
    files = blobs | {
        'oci-layout': packed({'imageLayoutVersion': '1.0.0'}),
        'index.json': packed({
            'schemaVersion': 2, 'mediaType': TYPE + 'index.v1+json', 'manifests': [manifest]}),
        'manifest.json': packed([{
            'Config': path_of(settings['digest']), 'RepoTags': [tag],
            'Layers': [path_of(digest(each)) for each in layers]}]),
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w', format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(files):
            info = tarfile.TarInfo(path)
            info.size, info.mtime = len(files[path]), epoch
            archive.addfile(info, io.BytesIO(files[path]))
    return content.getvalue(), manifest['digest']


def path_of(name):
    return 'blobs/' + name.replace(':', '/')


def digest(content):
    return 'sha256:' + hashlib.sha256(content).hexdigest()


def packed(value):
    return json.dumps(value, sort_keys=True, separators=(',', ':')).encode()


def stamp(epoch):
    return datetime.fromtimestamp(epoch, timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')
