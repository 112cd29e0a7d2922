# A service's part of a bundle. Lines: container NAME; port ADDRESS NUMBER SETTING.
container=''

hook_line() {
    case $1 in
    "container$tab"*) container=${1#*"$tab"} ;;
    "port$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/ports" ;;
    *) hook_service_line "$1" ;;
    esac
}

unknown_line() { fail "the bundle has a line that this version does not know: $1"; }

# For the scripts that follow.
hook_service_line() { unknown_line "$1"; }
hook_service_before_change() { :; }

status_of_container() { docker inspect --format '{{.State.Status}}' "$container" 2>/dev/null || printf none; }

# Whether somebody listens on address $1, port $2 (the kernel writes both in hexadecimal, the address backwards). Who
# wants all addresses is in the way of each listener, and the other way round.
is_taken() {
    # shellcheck disable=SC2046,SC2086  # the address is split at its dots
    backwards=$(IFS=. && set -- $1 && printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1")
    awk -v mine="$backwards" -v port="$(printf '%04X' "$2")" '
        $4 == "0A" { split($2, local, ":"); if (local[2] == port && (local[1] == mine ||
            mine ~ /^0+$/ || local[1] ~ /^0+$/)) found = 1 }
        END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

hook_before_change() {
    # Once the service runs, the listener is its own.
    [ "$(status_of_container)" != running ] || return 0
    hook_service_before_change
    [ -f "$work/ports" ] || return 0
    while IFS="$tab" read -r address number setting; do
        ! is_taken "$address" "$number" ||
            fail "port $number is taken on this node (see ss -ltnp): end what listens there, or change $setting"
    done <"$work/ports"
}
