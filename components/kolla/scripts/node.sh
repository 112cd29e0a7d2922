# Kolla's part of a bundle. Lines: package NAME; source yes|no; interface NAME; resolves NAME ADDRESS.
packages=''
source=no
shared_run=/etc/systemd/system/berth-shared-run.service

hook_line() {
    case $1 in
    "package$tab"*) packages="$packages ${1#*"$tab"}" ;;
    "source$tab"*) source=${1#*"$tab"} ;;
    "interface$tab"*) has_interface "${1#*"$tab"}" ;;
    "resolves$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/names" ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

has_interface() {
    [ -e "/sys/class/net/$1" ] && return 0
    here=$(cd /sys/class/net && echo ./* | sed 's/\.\///g')
    fail "has no interface $1 (it has: $here): set berth:kolla.interface, or network_interface under berth:kolla.hostVariables"
}

# Each name must lead to its node's own address, and to nothing else: RabbitMQ's members know each other by names.
names_resolve() {
    while IFS="$tab" read -r name address; do
        found=$(getent ahostsv4 "$name" | awk '{ print $1 }' | sort -u | paste -sd ' ' -)
        [ "$found" = "$address" ] ||
            fail "the name $name leads to ${found:-nothing} here, and should to $address: see /etc/hosts, or your DNS" \
                "with berth:registry.names external"
    done <"$work/names"
}

missing_packages() {
    for package in $packages; do
        dpkg-query --show --showformat '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' || printf '%s ' "$package"
    done
}

hook_before_change() {
    command -v dpkg-query >/dev/null ||
        fail "is not of Debian's family, which this version prepares for Kolla; prepare it with kolla-ansible bootstrap-servers"
    names_resolve
    missing=$(missing_packages)
    [ -z "$missing" ] && return 0
    # Packages are separate words.
    # shellcheck disable=SC2086
    { apt-get -o DPkg::Lock::Timeout=300 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends $missing; } \
        >"$work/apt.log" 2>&1 || {
        tail -n 5 "$work/apt.log" >&2
        fail "apt-get could not install $missing"
    }
}

hook_after_change() {
    if is_changed /etc/systemd/system/kolla-.service.d/berth.conf || is_changed "$shared_run"; then
        systemctl daemon-reload
    fi
    if is_changed "$shared_run"; then
        systemctl enable --now --quiet berth-shared-run.service
    fi
    if is_changed /etc/chrony/conf.d/berth.conf || is_changed /etc/chrony/sources.d/berth.sources; then
        systemctl restart chrony.service
    fi
    [ "$source" = yes ] || return 0
    # Half a second is more than any network in between adds, and less than any service of OpenStack minds.
    chronyc waitsync 30 0.5 0 1 >/dev/null ||
        fail "the clock is not in step with its source (chronyc tracking: $(chronyc -c tracking | cut -d, -f5) s off): see chronyc sources"
}

hook_after_remove() {
    systemctl daemon-reload
    systemctl restart chrony.service
}
