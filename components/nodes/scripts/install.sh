# Installs CoreOS or Flatcar from its own live system to a disk, with a configuration.
#   install.sh check | install | restart
# Standard input: lines KEY<tab>VALUE; for `install` among them the configuration in base64. A system that is installed
# already is left as it is, but for the cloud-config that it reads at its next start, or refused.
verb=$1
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
input=$(cat)
get configuration | base64 -d >"$work/configuration"

node=$(get node) disk=$(get device) user_data=${BERTH_USER_DATA:-/var/lib/coreos-install/user_data}
cloud_config=no
[ "$(head -n 1 "$work/configuration")" != '#cloud-config' ] || cloud_config=yes

system=$(sed -n 's/^ID="\{0,1\}\([a-z]*\).*/\1/p' "${BERTH_OS_RELEASE:-/etc/os-release}")
case $system in
coreos | flatcar) ;;
*) fail "$node runs ${system:-an unknown system}, not a live CoreOS or Flatcar; start its ISO there, then run again" ;;
esac
# What Berth began to write to a disk it may finish; a live system forgets this at its next start.
note=${BERTH_RUN:-/run}/berth-install
digest=$(sha256sum <"$work/configuration")
case $(findmnt -n -o FSTYPE /) in
tmpfs | ramfs | rootfs | overlay) ;;
*)
    if [ "$(get installed)" = refused ]; then
        fail "$node runs an installed $system, not a live one; start its ISO there, or take $(get setting) from the settings"
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

if [ "$verb" = restart ]; then
    case $(cat "$note" 2>/dev/null) in
    "installed $disk "*) ;;
    *) fail "$node runs a live system in which nothing was installed to $disk; it is not restarted" ;;
    esac
    systemctl reboot
    exit 0
fi
# An installation whose caller was killed goes on by itself.
exec 9>"$note.lock"
flock 9
if [ "$(cat "$note" 2>/dev/null)" = "installed $disk $digest" ]; then
    echo "$node is installed on $disk"
    exit 0
fi

bytes=$(lsblk -dbnro SIZE "$disk" 2>/dev/null) ||
    fail "$node has no disk $disk; it has: $(lsblk -dnro NAME,SIZE | tr '\n' ' ')"
megabytes=$((bytes / 1048576))
[ "$megabytes" -ge "$(get least)" ] ||
    fail "$disk of $node has $megabytes MB; at least $(get least) are needed"
mounted=$(lsblk -nro MOUNTPOINT "$disk" | grep . | tr '\n' ' ') || mounted=
[ -z "$mounted" ] || fail "$disk of $node is in use (${mounted% }); nothing was written"
case $(get wipe)$(cat "$note" 2>/dev/null) in
yes* | *"begun $disk" | *"installed $disk "*) ;;
*)
    signatures=$(wipefs -n "$disk" 2>&1) || fail "$disk of $node cannot be read: $signatures"
    parts=$(lsblk -nro TYPE "$disk" | sed 1d)
    [ -z "$signatures$parts" ] || fail "$disk of $node holds data; \`wipe: true\` under $(get setting) allows Berth to lose it"
    ;;
esac

installer=$(command -v flatcar-install || command -v coreos-install) ||
    fail "$node has neither flatcar-install nor coreos-install; start an ISO that carries one of them"
if [ "$verb" = check ]; then
    echo "$node can be installed on $disk ($megabytes MB)"
    exit 0
fi

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
echo "begun $disk" >"$note"
"$installer" "$@" "$work/configuration" >"$work/log" 2>&1 ||
    fail "the installation of $node failed: $(tail -n 3 "$work/log" | tr '\n' ' ')"
sync
echo "installed $disk $digest" >"$note"
echo "$node is installed on $disk"
