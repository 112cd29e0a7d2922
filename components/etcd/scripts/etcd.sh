# etcd's part of a bundle, after service.sh. Lines: packages NAME...; unit NAME; ask (for `berth verify` only).
unit=etcd.service

hook_service_line() {
    case $1 in
    "packages$tab"*) install_packages "${1#*"$tab"}" ;;
    "unit$tab"*) unit=${1#*"$tab"} ;;
    "ask$tab"*) ;;
    *) unknown_line "$1" ;;
    esac
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@"; }

# Before any file of the bundle is written: the packages bring the user that some belong to.
install_packages() {
    [ -d /run/systemd/system ] || fail 'etcd is kept running by systemd, which this node does not run'
    if command -v etcd >/dev/null 2>&1 && command -v etcdctl >/dev/null 2>&1; then return 0; fi
    packages=$(printf '%s' "$1" | tr '\t' ' ')
    command -v apt-get >/dev/null 2>&1 ||
        fail "etcd is not installed on this node, and there is no apt-get to install it: install $packages"
    # The package starts what it brings with settings of its own.
    systemctl mask --runtime --quiet etcd.service 2>/dev/null
    # shellcheck disable=SC2086  # names of packages are words
    if ! problem=$({ apt_get update && apt_get install --yes --no-install-recommends $packages; } 2>&1 >/dev/null); then
        systemctl unmask --runtime --quiet etcd.service
        fail "the packages $packages cannot be installed on this node: $(printf '%s\n' "$problem" | tail -n 1)"
    fi
    systemctl unmask --runtime --quiet etcd.service
    systemctl disable --quiet etcd.service 2>/dev/null
    log "installed $packages"
}

is_ours() { has_entry "$state/manifest" "file /etc/systemd/system/$unit.d/berth.conf"; }

status_of_container() { ! { is_ours && systemctl is-active --quiet "$unit"; } || printf running; }

hook_service_before_change() {
    ! systemctl is-active --quiet "$unit" || is_ours ||
        fail "etcd runs on this node already, set up by somebody else: stop it (systemctl disable --now $unit) and run" \
            "again; its data stays where it is"
}

hook_after_change() { [ -z "$changed" ] || systemctl daemon-reload; }

hook_after_remove() { systemctl daemon-reload; }
