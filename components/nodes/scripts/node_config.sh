# What a node's system is set up with, after bundle.sh and ask.sh. CoreOS reads it at each of its starts, so that a change
# takes a restart; it must be allowed, and the registry must do without this node meanwhile.
user_data=/var/lib/coreos-install/user_data
# A note that is gone after the restart.
restart=/run/berth-restart-$stack
reboot=no
setting=

hook_line() {
    case $1 in
    probe*) printf '%s\n' "${1#probe?}" >>"$work/probes" ;;
    reboot*) reboot=${1#reboot?} ;;
    setting*) setting=${1#setting?} ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

# Whether something of the registry runs here: nobody misses a node on which nothing does.
serves() {
    for part in object-store registry load-balancer; do
        [ ! -e "/var/lib/berth/$stack/$part" ] || return 0
    done
    return 1
}

hook_before_change() {
    new=$user_data.berth-new
    if [ ! -e "$new" ] || cmp -s -- "$new" "$user_data"; then return 0; fi
    [ "$reboot" = yes ] ||
        fail "this node's configuration changed, which takes a restart; $setting.reboot: true allows it. Nothing was changed"
    ! serves || wait_for_answers 300 <"$work/probes" ||
        fail 'the registry would not do without this node: nothing was changed here, and it is not restarted'
    : >"$restart"
}

hook_after_change() {
    [ ! -e "$restart" ] || log 'in force after the restart'
}
