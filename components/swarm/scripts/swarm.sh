# What the swarm's scripts share; their first part. Reads the lines of standard input: a word and its values, by tabs.
tab=$(printf '\t')
nodes='' networks='' labels='' own='' address='' role='' pool='' tokens='' encrypts=no cluster='' known=''

while IFS= read -r line; do
    rest=${line#*"$tab"}
    case $line in
    "node$tab"*) nodes="$nodes$rest
" ;;
    "network$tab"*) networks="$networks$rest
" ;;
    "label$tab"*) labels="$labels$rest
" ;;
    "own$tab"*) IFS="$tab" read -r own address role <<EOF
$rest
EOF
        ;;
    "pool$tab"*) pool=$rest ;;
    "tokens$tab"*) tokens=$rest ;;
    "encrypts$tab"*) encrypts=$rest ;;
    # From a manager that lives: its address, and a token or the swarm's own name.
    "token$tab"*) known="$known$rest
" ;;
    "cluster$tab"*) cluster=${rest#*"$tab"} ;;
    esac
done

about() { docker info --format "{{.Swarm.$1}}" 2>/dev/null; }
manages() { [ "$(about ControlAvailable)" = true ]; }
# Only a manager that hears the leader can list the nodes.
hears_the_leader() { docker node ls >/dev/null 2>&1; }

# Where the swarm's state lies, which goes when the node leaves: what Berth notes there goes with it.
note() { printf '%s/swarm/berth' "$(docker info --format '{{.DockerRootDir}}')"; }

# Field $2 of the line about node $1: name, address, role, machine.
of_node() { printf '%s' "$nodes" | awk -F '\t' -v name="$1" -v field="$2" '$1 == name { print $field }'; }

# The swarm's nodes: ID, name, status, what kind of manager (or -), on which machine by Berth's label (or -).
list_nodes() {
    ids=$(docker node ls --quiet) && [ -n "$ids" ] || return 1
    # shellcheck disable=SC2086  # ids are words
    docker node inspect --format '{{.ID}}{{"\t"}}{{.Description.Hostname}}{{"\t"}}{{.Status.State}}{{"\t"}}{{if .ManagerStatus}}{{.ManagerStatus.Reachability}}{{else}}-{{end}}{{"\t"}}{{with index .Spec.Labels "berth.machine"}}{{.}}{{else}}-{{end}}' $ids
}

# Lets node $1, called $2, go: its work first, then its vote, then itself.
let_go() {
    id=$1
    docker node update --availability drain "$id" >/dev/null 2>&1 || :
    wait_for 30 is_idle || log "$2 still has tasks; it goes all the same"
    if is_manager; then
        wait_for 20 demoted || fail "the swarm does not let its manager $2 go: $problem"
        wait_for 20 is_no_manager || fail "the swarm's manager $2 was demoted, and still is one after 20 s"
    fi
    wait_for 20 removed || fail "the swarm does not let $2 go: $problem"
    log "$2 left the swarm"
}

is_idle() {
    [ "$(docker node inspect --format '{{.Status.State}}' "$id" 2>/dev/null)" != ready ] ||
        ! docker node ps "$id" --format '{{.CurrentState}}' 2>/dev/null | grep -q '^Running'
}
is_manager() { [ "$(docker node inspect --format '{{if .ManagerStatus}}yes{{end}}' "$id" 2>/dev/null)" = yes ]; }
is_no_manager() { ! is_manager; }
demoted() { problem=$(docker node demote "$id" 2>&1 >/dev/null); }
removed() {
    docker node inspect "$id" >/dev/null 2>&1 || return 0
    problem=$(docker node rm --force "$id" 2>&1 >/dev/null)
}
