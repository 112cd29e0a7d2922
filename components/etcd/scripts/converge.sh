# After every member was reconciled, after members.sh: all that are in the settings are healthy, and the others leave.

# Names of the members that do not answer, each after a space.
silent_members() {
    printf '%s' "$members" | while read -r name client peer; do
        answers "$client" || printf ' %s' "$name"
    done
}

all_answer() {
    silent=$(silent_members)
    [ -z "$silent" ]
}

wait_for "$timeout" all_answer ||
    fail "members of etcd that do not become healthy within $timeout s:$silent (systemctl status $unit, journalctl -u $unit there)"
listed=$(list_at "$own_client") || fail "etcd on $own_name does not list its members"
printf '%s\n' "$listed" | while IFS=, read -r id status name peer client learner; do
    ! is_wanted "$peer" || continue
    # Counted anew after each: etcd refuses what would cost it its majority.
    wait_for 20 remove_member "$own_client" "$id" ||
        fail "etcd refuses to let ${name:-$peer} go: $(printf '%s\n' "$problem" | tail -n 1)"
    log "removed ${name:-$peer}"
done
