# Whether an installed machine runs from its disk with its configuration in force: `ready`, or `restart`.
#   installed.sh look | restart    standard input: lines KEY<tab>VALUE
input=$(cat)

node=$(get node)
if [ "$1" = restart ]; then
    systemctl reboot
    exit 0
fi
system=$(sed -n 's/^ID="\{0,1\}\([a-z]*\).*/\1/p' /etc/os-release)
[ "$system" = "$(get system)" ] || fail "$node runs ${system:-an unknown system}, not $(get system)"
case $(findmnt -n -o FSTYPE /) in
tmpfs | ramfs | rootfs | overlay) fail "$node runs from memory, not from its disk" ;;
esac
name=$(hostname)
[ "${name%%.*}" = "$node" ] || fail "$node calls itself $name: its configuration is not in force"
if [ -e "/run/berth-restart-$(get stack)" ]; then echo restart; else echo ready; fi
