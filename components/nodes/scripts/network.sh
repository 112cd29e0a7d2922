# The NAT network of a stack: its range, no DHCP, and exactly the forwarded ports that the settings ask for.
#   apply | remove
name=$(get name)

described() {
    VBoxManage natnetwork list 2>/dev/null | awk -v name="$name" '/^Name: / { on = ($2 == name) } on'
}

rules() {
    described | sed -n 's/^[[:space:]]*\([^[:space:]]*:tcp:\[.*\]:[0-9]*:\[.*\]:[0-9]*\)$/\1/p'
}

# VirtualBox takes a rule for a port that somebody else listens on, and says nothing.
need_free_port() {
    port=$(printf '%s' "$1" | sed 's/.*:tcp:\[[^]]*\]:\([0-9]*\):.*/\1/')
    if command -v ss >/dev/null 2>&1 && [ -n "$(ss -Hltn "sport = :$port")" ]; then
        fail "port $port of this machine, which is to be forwarded (${1%%:*}), is taken by another program"
    fi
}

apply() {
    subnet=$(get subnet)
    if [ -z "$(described)" ]; then
        vbox natnetwork add --netname "$name" --network "$subnet" --enable --dhcp off
    elif ! described | grep -q "^Network: *$subnet\$" || ! described | grep -q '^DHCP Server: *No$'; then
        vbox natnetwork modify --netname "$name" --network "$subnet" --enable --dhcp off
    fi
    # The deploy host as the machines see it, for the seed registry; a new network has this one already.
    loopback=$(get loopback)
    described | grep -q "^[[:space:]]*$loopback\$" ||
        vbox natnetwork modify --netname "$name" --loopback-4 "$loopback"
    rules | while read -r rule; do
        printf '%s\n' "$input" | grep -qxF "forward $rule" ||
            vbox natnetwork modify --netname "$name" --port-forward-4 delete "${rule%%:*}"
    done
    get forward | while read -r rule; do
        rules | grep -qxF "$rule" && continue
        need_free_port "$rule"
        vbox natnetwork modify --netname "$name" --port-forward-4 "$rule"
    done
    described
}

remove() {
    [ -z "$(described)" ] || vbox natnetwork remove --netname "$name"
}

need_virtualbox
"$1"
