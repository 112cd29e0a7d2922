# The virtual address's part of a bundle, after service.sh. Lines: virtual ADDRESS PORT; own ADDRESS, of a node of this stack.

hook_service_line() {
    case $1 in
    "virtual$tab"*) virtual=${1#*"$tab"} ;;
    "own$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/own" ;;
    *) unknown_line "$1" ;;
    esac
}

# The hardware address that answers for address $1 now, if any does. Whether port $2 is open does not matter.
answers_for() {
    ip neigh flush to "$1" >/dev/null 2>&1 || :
    curl --silent --max-time 1 --output /dev/null "https://$1:$2/" || :
    ip neigh show to "$1" | sed -n 's/.* lladdr \([^ ]*\).*/\1/p' | head -n 1
}

# Before keepalived runs here for the first time no machine but another one of this stack may have the address.
hook_service_before_change() {
    port=${virtual#*"$tab"} virtual=${virtual%"$tab"*}
    [ -z "$(ip -o -4 address show to "$virtual/32")" ] || return 0
    found=$(answers_for "$virtual" "$port")
    [ -n "$found" ] || return 0
    while IFS= read -r own; do
        [ "$(answers_for "$own" "$port")" != "$found" ] || return 0
    done <"$work/own"
    fail "the address $virtual is in use: the machine with the hardware address $found answers for it, and that" \
        "is no node of this stack. Take it from that machine, or change berth:loadBalancer.address"
}
