"""The control plane: etcd, API server, controller manager, scheduler and snapshot controller, as processes of this machine."""
import os

from cluster.place import API_PORT, SERVICES

PROCESSES = ('etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'snapshot-controller')


def start(cluster):
    place, run = cluster.place, cluster.processes.start
    run('etcd', *etcd(place))
    run('kube-apiserver', *api_server(place))
    cluster.wait('kube-apiserver', lambda: cluster.kubectl('get', '--raw', '/readyz'))
    run('kube-controller-manager', *controller_manager(place))
    run('kube-scheduler', *scheduler(place))
    if not cluster.kubectl('apply', '--server-side', '-f', os.path.join(place.tools, 'crds')):
        raise SystemExit('cluster: the CRDs of snapshots are refused: kubectl apply --server-side -f %s/crds' % place.tools)
    run('snapshot-controller', place.program('snapshot-controller'), '--kubeconfig=' + place.kubeconfig,
        '--feature-gates=CSIVolumeGroupSnapshot=true')
    cluster.wait('kube-controller-manager', lambda: cluster.kubectl('get', 'serviceaccount', 'default'))


def etcd(place):
    url, peer = ('http://127.0.0.1:%d' % place.ports[p] for p in ('etcd', 'etcd_peer'))
    return (place.program('etcd'), '--name=lab', '--data-dir=' + os.path.join(place.dir, 'etcd'),
            '--listen-client-urls=' + url, '--advertise-client-urls=' + url,
            '--listen-peer-urls=' + peer, '--initial-advertise-peer-urls=' + peer, '--initial-cluster=lab=' + peer,
            '--unsafe-no-fsync', '--log-level=warn')


def api_server(place):
    pki = place.pki
    return (place.program('kube-apiserver'), '--etcd-servers=http://127.0.0.1:%d' % place.ports['etcd'],
            # the kubelet and the endpoints of Services refuse addresses of 127/8
            '--bind-address=' + place.address, '--advertise-address=' + place.address, '--secure-port=%d' % API_PORT,
            '--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction', '--allow-privileged=true',
            '--client-ca-file=%s/ca.crt' % pki, '--tls-cert-file=%s/apiserver.crt' % pki,
            '--tls-private-key-file=%s/apiserver.key' % pki,
            '--service-account-issuer=https://kubernetes.default.svc',
            '--service-account-key-file=%s/service-accounts.pub' % pki,
            '--service-account-signing-key-file=%s/service-accounts.key' % pki,
            '--kubelet-client-certificate=%s/apiserver-kubelet.crt' % pki,
            '--kubelet-client-key=%s/apiserver-kubelet.key' % pki,
            '--kubelet-certificate-authority=%s/ca.crt' % pki, '--kubelet-preferred-address-types=InternalIP',
            '--proxy-client-cert-file=%s/front-proxy.crt' % pki, '--proxy-client-key-file=%s/front-proxy.key' % pki,
            '--requestheader-client-ca-file=%s/front-proxy-ca.crt' % pki,
            '--requestheader-allowed-names=front-proxy-client',
            '--requestheader-extra-headers-prefix=X-Remote-Extra-', '--requestheader-group-headers=X-Remote-Group',
            '--requestheader-username-headers=X-Remote-User',
            # Service addresses exist in the nodes only: whoever is called is called at its pod
            '--enable-aggregator-routing=true', '--service-cluster-ip-range=%s.0.0/16' % SERVICES, '--profiling=false')


def controller_manager(place):
    pki = place.pki
    return (place.program('kube-controller-manager'), *as_user(place, 'controller-manager'), '--leader-elect=false',
            '--bind-address=127.0.0.1', '--secure-port=%d' % place.ports['controller_manager'],
            '--use-service-account-credentials=true',
            '--service-account-private-key-file=%s/service-accounts.key' % pki, '--root-ca-file=%s/ca.crt' % pki,
            '--cluster-signing-cert-file=%s/ca.crt' % pki, '--cluster-signing-key-file=%s/ca.key' % pki,
            '--service-cluster-ip-range=%s.0.0/16' % SERVICES)


def scheduler(place):
    return (place.program('kube-scheduler'), *as_user(place, 'scheduler'), '--leader-elect=false',
            '--bind-address=127.0.0.1', '--secure-port=%d' % place.ports['scheduler'])


def as_user(place, name):
    path = os.path.join(place.pki, name + '.kubeconfig')
    return ['--%s=%s' % (flag, path) for flag in ('kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig')]
