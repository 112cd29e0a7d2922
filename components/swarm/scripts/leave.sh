# A node's way out of the swarm, after swarm.sh.
[ -s "$(note)" ] && [ "$(about LocalNodeState)" != inactive ] || exit 0
if manages && [ "$(about Managers)" -gt 1 ] && hears_the_leader; then
    id=$(about NodeID)
    docker node update --availability drain "$id" >/dev/null
    wait_for 30 is_idle || :
    wait_for 20 demoted || fail "the swarm does not let this manager go: $problem"
    is_worker() { ! manages; }
    wait_for 30 is_worker || :
fi
# Of the last manager it takes force: the swarm ends with it.
docker swarm leave --force >/dev/null
