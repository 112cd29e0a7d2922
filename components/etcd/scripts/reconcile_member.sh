# One member, after members.sh: it starts, joins, or is restarted with new settings, and is healthy again at the end.
#   reconcile_member.sh first|again    first: this member was never there before, so that there may be no cluster yet
verb=$1

runs() { systemctl is-active --quiet "$unit" || [ "$(systemctl is-active "$unit")" = activating ]; }

# The running process says with which settings it was started.
started_with() {
    main=$(systemctl show -p MainPID --value "$unit")
    [ "${main:-0}" != 0 ] && tr '\0' '\n' <"/proc/$main/environ" 2>/dev/null | grep -qxF "$1"
}

is_current() { started_with "BERTH_CONFIG=$config"; }

has_its_urls() {
    started_with "ETCD_INITIAL_ADVERTISE_PEER_URLS=$own_peer" &&
        started_with "ETCD_ADVERTISE_CLIENT_URLS=$own_client"
}

start() {
    systemctl reset-failed "$unit" 2>/dev/null || :
    systemctl enable --quiet "$unit" 2>/dev/null
    # It has started when it has found the others: that is waited for here, with an end.
    systemctl "$1" --no-block "$unit"
}

last_log_line() { journalctl -u "$unit" -n 1 -o cat --no-pager 2>/dev/null | cut -c 1-300; }

# What answers must not be the process that is about to end.
is_healthy() { is_current && answers "$own_client"; }

must_be_healthy() {
    wait_for "$timeout" is_healthy && return 0
    silent=''
    ! ask_others || silent=$(silent_of "$(voters)")
    fail "etcd on $own_name does not become healthy within $timeout s${silent:+, and of the others do not answer:$silent};" \
        "its last words: $(last_log_line)"
}

# What it had is of no use to a cluster that does not know it.
set_data_aside() {
    has_data || return 0
    systemctl stop "$unit"
    as_etcd rm -rf -- "$data/before"
    as_etcd mv -T -- "$data/member" "$data/before"
}

# What it counted is in $total, $healthy and $quorum; this member is in the first number only.
quorum_without_this_member() {
    ask_others || return 1
    listed_voters=$(voters)
    total=$(printf '%s\n' "$listed_voters" | grep -c .) || :
    healthy=$(printf '%s\n' "$listed_voters" | grep -c '^healthy ') || :
    quorum=$((total / 2 + 1))
    [ "$healthy" -ge "$quorum" ]
}

# $1: what would happen to this member.
must_keep_quorum() {
    total=0 healthy=0 quorum=1 listed_voters=''
    wait_for 20 quorum_without_this_member && return 0
    fail "etcd on $own_name is not $1: without it $healthy of $total members would be healthy, and $quorum are needed;" \
        "not answering:$(silent_of "$listed_voters"). Repair that first (systemctl status $unit there), then run up again"
}

# Others that are neither wanted nor alive would count against the cluster while it grows.
remove_the_dead() {
    printf '%s\n' "$listed" | while IFS=, read -r id status name peer client learner; do
        if is_wanted "$peer"; then continue; fi
        if [ -n "$client" ] && answers "$client"; then continue; fi
        wait_for 20 remove_member "$asked" "$id" || fail "etcd refuses to let ${name:-$peer} go, which is lost: $problem"
        log "removed ${name:-$peer}, which is lost"
    done
}

# What the cluster has against these two is in $problem: wait_for tries them again.
add_learner() {
    ask_others || :
    if answer=$(at "$asked" member add "$own_name" --learner --peer-urls="$own_peer" 2>&1); then
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
    [ "$(of_listed "$own_peer" learner)" = true ] || return 0
    problem=$(at "$asked" member promote "$(of_listed "$own_peer" id)" 2>&1)
}

# A learner first: a member that does not make it never counts.
join() {
    remove_the_dead
    set_data_aside
    wait_for 20 add_learner || fail "the cluster does not take $own_name: $problem"
    start restart
    wait_for "$timeout" promote ||
        fail "etcd on $own_name joined, but did not catch up within $timeout s: $problem." \
            "Its last words: $(last_log_line)"
    log "$own_name joined"
}

# A new cluster, or one of which no other member answers.
reconcile_without_the_others() {
    if ! has_data && [ "$verb" = again ] && [ -n "$(others)" ]; then
        fail "etcd on $own_name has lost its data, and no other member answers. Start the others (systemctl start $unit)," \
            "or bring a backup back (berth etcd restore)"
    fi
    if runs && answers "$own_client" && ! is_current && [ -n "$(others)" ]; then must_keep_quorum restarted; fi
    if runs && is_current; then log 'nothing to change'; else start restart; fi
    # The first ones of a new cluster wait for the next: converge.sh waits for all.
    [ "$verb" = first ] || must_be_healthy
}

# By what the others say of this member.
reconcile() {
    id=$(of_listed "$own_peer" id) learner=$(of_listed "$own_peer" learner)
    if [ -z "$id" ]; then
        join
    elif [ -z "$(of_listed "$own_peer" client)" ] && [ "$learner" != true ] && [ "$verb" = first ]; then
        # The others were quicker: a new cluster that this one belongs to.
        runs || start start
    elif ! has_data; then
        log "$own_name has lost its data"
        must_keep_quorum replaced
        systemctl stop "$unit"
        wait_for 20 remove_member "$asked" "$id" || fail "etcd refuses to let the lost $own_name go: $problem"
        ask_others || :
        join
    elif [ "$learner" = true ]; then
        runs || start start
        wait_for "$timeout" promote || fail "etcd on $own_name does not catch up within $timeout s: $problem"
    elif ! runs; then
        start start
    elif ! is_current; then
        ! answers "$own_client" || must_keep_quorum restarted
        start restart
        log "$own_name restarted"
    else
        log 'nothing to change'
    fi
    must_be_healthy
    rm -f -- "$join"
}

command -v etcdctl >/dev/null 2>&1 || fail 'etcdctl is not on this node'
problem='' asked=''
if runs && ! has_its_urls; then
    fail "etcd on $own_name was made with other ports or another address, by which its members know each other: change" \
        "them back; or save what it holds (berth etcd backup), take the role etcd from all nodes, give it back, and restore"
fi
if [ -n "$(others)" ] && ask_others; then reconcile; else reconcile_without_the_others; fi
