# Sourced by install, up and down: where the lab lives.

. "$(dirname "${BASH_SOURCE[0]}")/../run.d/need.sh"
here=$root/tests/openstack
export CINDER_CSI_LAB=${CINDER_CSI_LAB:-$target/openstack}
export CINDER_CSI_LAB_VENV=${CINDER_CSI_LAB_VENV:-$target/openstack/venv}
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
