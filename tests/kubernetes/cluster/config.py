"""What the programs of a node read: containerd, its network plugins, the kubelet."""
import os

from cluster.place import REGISTRY


def write(place, n):
    home = place.node(n)
    os.makedirs(os.path.join(home, 'etc', 'cni'), exist_ok=True)
    values = {'home': home, 'net': place.net, 'n': n, 'registry': REGISTRY, 'address': place.node_address(n),
              'pki': place.pki, 'cgroup': place.cgroup, 'gateway': place.address}
    for name, text in FILES.items():
        with open(os.path.join(home, 'etc', name), 'w') as f:
            f.write(text % values)


FILES = {
    'cni/10-lab.conflist': """{"cniVersion": "1.0.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "%(net)s.%(n)d.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
""",
    # On some machines root lacks CAP_SYS_RESOURCE: then nothing may lower an OOM score, and runc gives up where it is asked to.
    'containerd.toml': """version = 2
root = "%(home)s/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "%(home)s/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "%(home)s/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(registry)s/pause:lab"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%(home)s/etc/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
""",
    # nobody answers there: the cluster has no DNS
    'resolv.conf': 'nameserver %(gateway)s\n',
    'kubelet.yaml': """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %(address)s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %(pki)s/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: %(pki)s/kubelet%(n)d.crt
tlsPrivateKeyFile: %(pki)s/kubelet%(n)d.key
cgroupDriver: cgroupfs
cgroupRoot: /%(cgroup)s/node%(n)d
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
containerRuntimeEndpoint: unix://%(home)s/run/containerd.sock
resolvConf: %(home)s/etc/resolv.conf
volumePluginDir: %(home)s/volumeplugins
evictionHard: {memory.available: 100Mi, nodefs.available: 2%%, imagefs.available: 2%%, nodefs.inodesFree: 1%%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 200
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
volumeStatsAggPeriod: 10s
serializeImagePulls: false
""",
}
