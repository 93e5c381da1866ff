# Sourced by build, up, down, cut, restore, load, install, suite/run and suite/codes: where the cluster lives.

. "$(dirname "${BASH_SOURCE[0]}")/../run.d/need.sh"
here=$root/tests/kubernetes
export CINDER_CSI_CLUSTER=${CINDER_CSI_CLUSTER:-$target/kubernetes}
export CINDER_CSI_CLUSTER_TOOLS=$tools/kubernetes
export CINDER_CSI_LAB_VENV=${CINDER_CSI_LAB_VENV:-$target/openstack/venv}
export PYTHONPATH=$here:$root/tests/openstack PYTHONDONTWRITEBYTECODE=1
