# Before anything of Docker is touched, after swarm.sh: a manager removes the nodes that have no role any more, and those
# whose machine is lost. Prints the tokens for who joins next; nothing where this node manages no swarm.
command -v docker >/dev/null 2>&1 && manages || exit 0
wait_for 30 hears_the_leader ||
    fail "the swarm has no majority of its managers any more: docker node ls does not answer on this one. Start the" \
        "others; if they are lost, docs/swarm.md says how this one goes on alone"

is_ready() { [ "$(status_of "$1")" = ready ]; }

list=$(list_nodes)
printf '%s\n' "$list" | while IFS="$tab" read -r id name status manager machine; do
    if [ -z "$(of_node "$name" name)" ]; then
        remove_node "$id" "$name"
    elif [ "$machine" != - ] && [ "$machine" != "$(of_node "$name" machine)" ] && [ "$status" != ready ]; then
        # Another machine by the name may be the old one's disk in a new case: it gets the time to come back.
        wait_for 20 is_ready "$id" || remove_node "$id" "$name"
    fi
done >&2
for role in worker manager; do printf 'token\t%s\t%s\n' "$role" "$(docker swarm join-token --quiet "$role")"; done
printf 'cluster\t%s\n' "$(swarm_info Cluster.ID)"
