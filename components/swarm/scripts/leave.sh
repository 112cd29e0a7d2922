# A node's way out of the swarm, after swarm.sh.
[ -s "$(note)" ] && is_in_a_swarm || exit 0
if manages && [ "$(swarm_info Managers)" -gt 1 ] && hears_the_leader; then
    id=$(swarm_info NodeID)
    docker node update --availability drain "$id" >/dev/null
    wait_for 30 is_idle "$id" || :
    wait_for 20 demote "$id" || fail "the swarm does not let this manager go: $problem"
    is_worker() { ! manages; }
    wait_for 30 is_worker || :
fi
# Of the last manager it takes force: the swarm ends with it.
docker swarm leave --force >/dev/null
