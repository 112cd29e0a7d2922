# One member's turn, after members.sh: it starts, joins, or is restarted with new settings, and is fit again at the end.
#   reconcile_member.sh first|again    first: this member was never there before, so that there may be no cluster yet
verb=$1

runs() { systemctl is-active --quiet "$unit" || [ "$(systemctl is-active "$unit")" = activating ]; }

# The running process says with which settings it was started.
started_with() {
    main=$(systemctl show -p MainPID --value "$unit")
    [ "${main:-0}" != 0 ] && tr '\0' '\n' <"/proc/$main/environ" 2>/dev/null | grep -qxF "$1"
}
is_current() { started_with "BERTH_CONFIG=$config"; }

start() {
    systemctl reset-failed "$unit" 2>/dev/null || :
    systemctl enable --quiet "$unit" 2>/dev/null
    # It has started when it has found the others: that is waited for here, with an end.
    systemctl "$1" --no-block "$unit"
}

last_words() { journalctl -u "$unit" -n 1 -o cat --no-pager 2>/dev/null | cut -c 1-300; }

# What answers must not be the process that is about to end.
is_fit() { is_current && answers "$client"; }

must_be_fit() {
    wait_for "$timeout" is_fit && return 0
    ! ask_others || silent_voters
    fail "etcd on $name does not become healthy within $timeout s${silent:+, and of the others do not answer:$silent}; its last words: $(last_words)"
}

# What it had is of no use to a cluster that does not know it.
set_data_aside() {
    has_data || return 0
    systemctl stop "$unit"
    as_etcd rm -rf -- "$data/before"
    as_etcd mv -T -- "$data/member" "$data/before"
}

no_quorum_lost_by() {
    wait_for 20 enough_without_it || fail "etcd on $name is not $1: without it $alive of $voters members would be healthy, and $((voters / 2 + 1)) are needed; not answering:$silent. Mend that first (systemctl status $unit there), then run up again"
}

enough_without_it() {
    ask_others || return 1
    silent_voters
    [ "$alive" -ge "$((voters / 2 + 1))" ]
}

# Others that are neither wanted nor alive would count against the cluster while it grows.
remove_the_dead() {
    printf '%s\n' "$listed" | while IFS=, read -r id _ who its_peer its_client _; do
        if is_wanted "$its_peer" || { [ -n "$its_client" ] && answers "$its_client"; }; then continue; fi
        wait_for 20 remove_member "$id" || fail "etcd refuses to let ${who:-$its_peer} go, which is lost: $problem"
        log "removed ${who:-$its_peer}, which is lost"
    done
}

remove_member() { problem=$(at "$known" member remove "$1" 2>&1 >/dev/null); }

# A learner first: a member that does not make it never counts.
join() {
    remove_the_dead
    set_data_aside
    wait_for 20 add_learner || fail "the cluster does not take $name: $problem"
    start restart
    wait_for "$timeout" promote || fail "etcd on $name joined, but did not catch up within $timeout s: $problem. Its last words: $(last_words)"
    log "$name joined"
}

add_learner() {
    ask_others || :
    if answer=$(at "$known" member add "$name" --learner --peer-urls="$peer" 2>&1); then
        printf '%s\n' "$answer" | grep '^ETCD_' | tr -d '"' >"$join"
        return 0
    fi
    problem=$answer
    return 1
}

promote() {
    if ! ask_others; then
        problem='no other member answers'
        return 1
    fi
    [ "$(of_listed "$peer" 6)" = true ] || return 0
    problem=$(at "$known" member promote "$(of_listed "$peer" 1)" 2>&1)
}

command -v etcdctl >/dev/null 2>&1 || fail 'etcdctl is not on this node'
silent='' alive=0 voters=0 problem='' known=''
if runs && ! { started_with "ETCD_INITIAL_ADVERTISE_PEER_URLS=$peer" && started_with "ETCD_ADVERTISE_CLIENT_URLS=$client"; }; then
    fail "etcd on $name was made with other ports or another address, by which its members know each other: change them back; or save what it holds (berth etcd backup), take the role etcd from all nodes, give it back, and restore"
fi

if [ -z "$(others)" ] || ! ask_others; then
    if ! has_data && [ "$verb" = again ] && [ -n "$(others)" ]; then
        fail "etcd on $name has lost its data, and no other member answers. Start the others (systemctl start $unit), or bring a backup back (berth etcd restore)"
    fi
    if runs && answers "$client" && ! is_current && [ -n "$(others)" ]; then no_quorum_lost_by restarted; fi
    if runs && is_current; then log 'nothing to change'; else start restart; fi
    # The first ones of a new cluster wait for the next: converge.sh waits for all.
    [ "$verb" = first ] || must_be_fit
    exit 0
fi

id=$(of_listed "$peer" 1)
if [ -z "$id" ]; then
    join
elif [ -z "$(of_listed "$peer" 5)" ] && [ "$(of_listed "$peer" 6)" != true ] && [ "$verb" = first ]; then
    # The others were quicker: a new cluster that this one belongs to.
    runs || start start
elif ! has_data; then
    log "$name has lost its data"
    no_quorum_lost_by replaced
    systemctl stop "$unit"
    wait_for 20 remove_member "$id" || fail "etcd refuses to let the lost $name go: $problem"
    ask_others || :
    join
elif [ "$(of_listed "$peer" 6)" = true ]; then
    runs || start start
    wait_for "$timeout" promote || fail "etcd on $name does not catch up within $timeout s: $problem"
elif ! runs; then
    start start
elif ! is_current; then
    ! answers "$client" || no_quorum_lost_by restarted
    start restart
    log "$name restarted"
else
    log 'nothing to change'
fi
must_be_fit
rm -f -- "$join"
