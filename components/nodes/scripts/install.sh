#!/bin/sh
# Installs CoreOS or Flatcar from its own live system to a disk, with a configuration.
#   install.sh    standard input: lines `key value`, a line `---`, then the configuration
# An installed system is left as it is, but for the cloud-config that it reads at its next start.
set -eu
LC_ALL=C
export LC_ALL
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
header=
while IFS= read -r line && [ "$line" != --- ]; do
    header="$header$line
"
done
cat >"$work/configuration"

refuse() {
    echo "berth: $*" >&2
    exit 1
}

get() {
    printf '%s' "$header" | sed -n "s/^$1 //p"
}

node=$(get node) disk=$(get device) user_data=${BERTH_USER_DATA:-/var/lib/coreos-install/user_data}
cloud_config=no
[ "$(head -n 1 "$work/configuration")" != '#cloud-config' ] || cloud_config=yes

system=$(sed -n 's/^ID="\{0,1\}\([a-z]*\).*/\1/p' "${BERTH_OS_RELEASE:-/etc/os-release}")
case $system in
coreos | flatcar) ;;
*) refuse "$node runs ${system:-an unknown system}, not a live CoreOS or Flatcar; start its ISO there, then run again" ;;
esac
case $(findmnt -n -o FSTYPE /) in
tmpfs | ramfs | rootfs | overlay) ;;
*)
    if [ "$(get installed)" = refused ]; then
        refuse "$node runs an installed $system, not a live one; start the ISO there, or take \`install\` from the settings"
    fi
    if [ "$cloud_config" = yes ] && [ -f "$user_data" ] && ! cmp -s "$work/configuration" "$user_data"; then
        cp "$work/configuration" "$user_data.new"
        mv "$user_data.new" "$user_data"
        echo "$node is installed; its changed configuration is in $user_data, in force from the next start on"
    else
        echo "$node is installed"
    fi
    exit 0
    ;;
esac

bytes=$(lsblk -dbnro SIZE "$disk" 2>/dev/null) ||
    refuse "$node has no disk $disk; it has: $(lsblk -dnro NAME,SIZE | tr '\n' ' ')"
megabytes=$((bytes / 1048576))
[ "$megabytes" -ge "$(get least)" ] ||
    refuse "$disk of $node has $megabytes MB; at least $(get least) are needed"
mounted=$(lsblk -nro MOUNTPOINT "$disk" | grep . | tr '\n' ' ') || mounted=
[ -z "$mounted" ] || refuse "$disk of $node is in use (${mounted% }); nothing was written"
if [ "$(get wipe)" != yes ]; then
    found=$(wipefs -n "$disk"; lsblk -nro TYPE "$disk" | grep -v '^disk$') || true
    [ -z "$found" ] || refuse "$disk of $node holds data; \`wipe: true\` under $(get setting) allows Berth to lose it"
fi

installer=$(command -v flatcar-install || command -v coreos-install) ||
    refuse "$node has neither flatcar-install nor coreos-install; start an ISO that carries one of them"
set -- -d "$disk" -C "$(get channel)"
for pair in version:-V source:-b; do
    [ -z "$(get "${pair%%:*}")" ] || set -- "$@" "${pair#*:}" "$(get "${pair%%:*}")"
done
if [ "$cloud_config" = yes ]; then set -- "$@" -c; else set -- "$@" -i; fi
if [ -n "$(get proxy)" ]; then
    http_proxy=$(get proxy)
    https_proxy=$http_proxy
    export http_proxy https_proxy
fi
"$installer" "$@" "$work/configuration" >"$work/log" 2>&1 ||
    refuse "the installation of $node failed: $(tail -n 3 "$work/log" | tr '\n' ' ')"
sync
echo "$node is installed on $disk"
if [ "$(get reboot)" = yes ]; then
    # A moment later, so that this command still ends well.
    systemd-run --quiet --on-active=3 systemctl reboot
fi
