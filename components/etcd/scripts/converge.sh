# After every member's turn, after members.sh: all that belong are fit, and those that left the settings leave.

silent_members() {
    silent=$(printf '%s' "$members" | while read -r who its_client _; do answers "$its_client" || printf ' %s' "$who"; done)
    [ -z "$silent" ]
}

wait_for "$timeout" silent_members || fail "members of etcd that do not become healthy within $timeout s:$silent (systemctl status $unit, journalctl -u $unit there)"
listed=$(at "$client" member list -w simple | sed 's/, /,/g')
printf '%s\n' "$listed" | while IFS=, read -r id _ who its_peer _; do
    ! is_wanted "$its_peer" || continue
    # Counted anew after each: etcd refuses what would cost it its majority.
    wait_for 20 at "$client" member remove "$id" >/dev/null 2>&1 || fail "etcd refuses to let ${who:-$its_peer} go: $(at "$client" member remove "$id" 2>&1 | tail -n 1)"
    log "removed ${who:-$its_peer}"
done
