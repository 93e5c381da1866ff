# Sourced by build, up and down: where the cluster lives.

. "$(dirname "${BASH_SOURCE[0]}")/../run.d/need.sh"
here=$root/tests/kubernetes
export CINDER_CSI_CLUSTER=${CINDER_CSI_CLUSTER:-$target/kubernetes}
export CINDER_CSI_CLUSTER_TOOLS=$tools/kubernetes
export PYTHONPATH=$here:$root/tests/openstack PYTHONDONTWRITEBYTECODE=1
