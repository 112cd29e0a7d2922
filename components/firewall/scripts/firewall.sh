# The firewall's part of a bundle, after machine.sh and in_force.sh.
# Lines: node NAME ADDRESS; needs PORT; peer ADDRESS; ask firewall (for `berth verify` only).
name='' address='' ports=''
unit_file=/etc/systemd/system/$firewall_unit
# As long as the stages after this one may need to take services away from a node that left.
leave=10m
outs='or set berth:firewall to external and keep outsiders out yourself (docs/firewall.md says what to close)'

hook_line() {
    case $1 in
    "node$tab"*)
        name=${1#*"$tab"}
        address=${name#*"$tab"} name=${name%%"$tab"*}
        must_have_nft
        ;;
    "needs$tab"*) ports="$ports ${1#*"$tab"}" ;;
    "peer$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/peers" ;;
    "ask$tab"*) ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

must_have_nft() {
    [ "$(init_system)" = systemd ] ||
        fail "$name is not run by systemd, which loads Berth's rules before Docker starts: use another node for this, $outs"
    [ -x /usr/sbin/nft ] ||
        fail "$name has no /usr/sbin/nft, by which Berth keeps outsiders away from its services: install the package nftables, $outs"
}

# Which of the ports no line of standard input lets in. A line counts if it accepts and names the port or a range
# around it, or if it accepts all that comes from an address or an interface.
not_accepted() {
    awk -v ports="$ports" '
        BEGIN { count = split(ports, wanted, " ") }
        !/accept|ACCEPT|ALLOW/ { next }
        /oif|-o / { next }
        /saddr|iif|Anywhere +ALLOW|-s |-i / && !/port|icmp|type|proto|ct state|ctstate|"lo"|-i lo|-p |\/(tcp|udp)/ { all = 1 }
        {
            terms = split($0, term, /[^0-9:-]+/)
            for (t = 1; t <= terms; t++) {
                if (split(term[t], end, /[:-]/) > 2 || term[t] !~ /^[0-9]/) continue
                high = end[2] == "" ? end[1] : end[2]
                for (p = 1; p <= count; p++) if (end[1] + 0 <= wanted[p] + 0 && wanted[p] + 0 <= high + 0) open[p] = 1
                delete end
            }
        }
        END { for (p = 1; p <= count; p++) if (!all && !open[p]) printf " %s", wanted[p] }'
}

# Tables at whose end a packet is lost that no rule took, by kind and name: each one's verdict is final.
closing_tables() {
    nft -s list ruleset 2>/dev/null | awk -v skip="$1" '
        function report() { if (input && (drops || last ~ /^(counter )?(drop|reject.*)$/)) print kind " " table; input = 0 }
        /^table / { kind = $2; table = $3; next }
        /^\tchain / { input = drops = 0; last = "" }
        /hook input/ { input = (kind == "ip" || kind == "inet") && index(skip, " " kind " " table " ") == 0; drops = /policy drop/; next }
        /^\t\}/ { report() }
        { rule = $0; sub(/^[ \t]+/, "", rule); if (rule != "") last = rule }' | sort -u
    ! iptables-legacy-save -t filter 2>/dev/null | grep -qE '^:INPUT DROP|^-A INPUT -j (DROP|REJECT)' || echo 'legacy filter'
}

refuse() {
    [ -z "$2" ] ||
        fail "$1 on $name drops what comes in at tcp port$2, before Berth's own rules are asked: $3, and Berth's table" \
            "narrows it down; $outs"
}

# What somebody else manages is left as it is. It may be stricter than ours only where that harms nobody.
respect_others() {
    skip=' inet berth '
    if firewall-cmd --state >/dev/null 2>&1; then
        skip="$skip, inet firewalld "
        card=$(ip -o -4 address show to "$address" | awk 'NR == 1 { print $2 }')
        zone=$(firewall-cmd --get-zone-of-interface="$card" 2>/dev/null) || zone=$(firewall-cmd --get-default-zone)
        closed=''
        if [ "$(firewall-cmd --permanent --zone="$zone" --get-target 2>/dev/null)" != ACCEPT ]; then
            for port in $ports; do
                firewall-cmd --quiet --zone="$zone" --query-port="$port/tcp" || closed="$closed $port"
            done
        fi
        refuse "firewalld (zone $zone)" "$closed" \
            "let them in by firewall-cmd --permanent --zone=$zone --add-port=NUMBER/tcp and firewall-cmd --reload"
    fi
    if ufw status 2>/dev/null | grep -q '^Status: active'; then
        skip="$skip, ip filter , ip6 filter "
        if ! ufw status verbose | grep -q '^Default: allow (incoming)'; then
            refuse ufw "$(ufw status | not_accepted)" 'let them in by ufw allow NUMBER/tcp'
        fi
    fi
    closing_tables "$skip" >"$work/closing"
    while read -r kind table; do
        case $kind in
        legacy) closed=$(iptables-legacy-save -t filter | grep -v '^-A FORWARD\|^-A OUTPUT' | not_accepted) ;;
        *) closed=$(nft -s list table "$kind" "$table" 2>/dev/null | not_accepted) ;;
        esac
        refuse "the table $kind $table" "$closed" 'add rules to it that accept these ports'
    done <"$work/closing"
}

hook_before_change() {
    : >>"$work/peers"
    problem=$(nft --check --file "$table_file.berth-new" 2>&1) ||
        fail "nft on $name does not take Berth's table ($(printf '%s\n' "$problem" | head -n 1)): it needs nftables 0.9" \
            "and a kernel from 4.18 on with its connlimit, $outs"
    respect_others
}

# Everybody who was let in by the rules before these.
leaving() {
    [ -f "$state/peers" ] || return 0
    gone=$(grep -vxF -f "$work/peers" -- "$state/peers" | sed "s/\$/ timeout $leave/" | paste -sd , -)
    [ -z "$gone" ] || printf 'add element inet berth leaving { %s }\n' "$gone"
}

put_in_force() {
    if systemctl is-active --quiet "$firewall_unit"; then
        { cat -- "$table_file" && leaving; } | nft -f -
    else
        systemctl start "$firewall_unit"
    fi
}

hook_after_change() {
    if is_changed "$table_file" || is_changed "$unit_file" || [ "$(firewall_state)" != 'in force' ]; then
        systemctl daemon-reload
        problem=$(systemctl --quiet reenable "$firewall_unit" 2>&1) || fail "$firewall_unit cannot be enabled on $name: $problem"
        if ! problem=$(put_in_force 2>&1); then
            undo_change
            fail "Berth's table could not be put in force on $name, the rules before it still are: $problem"
        fi
        found=$(firewall_state)
        [ "$found" = 'in force' ] || fail "Berth's table on $name is $found right after it was loaded: see systemctl status $firewall_unit"
        changed=yes
        log "firewall: loaded"
    fi
    cp -- "$work/peers" "$state/peers"
}

hook_after_remove() {
    systemctl --quiet stop "$firewall_unit" 2>/dev/null || :
    rm -f -- "/etc/systemd/system/"*".wants/$firewall_unit"
    systemctl daemon-reload
    nft delete table inet berth 2>/dev/null || :
}
