# What the swarm's scripts share: after lib.sh, before the rest of each. Reads the lines of standard input: a word and its
# values, by tabs.
# Of all nodes lines NAME, ADDRESS, ROLE, MACHINE; of networks NAME, SUBNET, encrypted or plain, attachable or own; of labels
# NODE, KEY, VALUE; of tokens MANAGER'S ADDRESS, ROLE, TOKEN.
nodes='' networks='' labels='' join_tokens=''
own_name='' own_address='' own_role='' pool='' tokens='' encrypts=no cluster=''

while IFS= read -r line; do
    rest=${line#*"$tab"}
    case $line in
    "node$tab"*) nodes="$nodes$rest
" ;;
    "network$tab"*) networks="$networks$rest
" ;;
    "label$tab"*) labels="$labels$rest
" ;;
    "own$tab"*) IFS="$tab" read -r own_name own_address own_role <<EOF
$rest
EOF
        ;;
    "pool$tab"*) pool=$rest ;;
    "tokens$tab"*) tokens=$rest ;;
    "encrypts$tab"*) encrypts=$rest ;;
    # From a manager that lives: its address, and a token or the swarm's own name.
    "token$tab"*) join_tokens="$join_tokens$rest
" ;;
    "cluster$tab"*) cluster=${rest#*"$tab"} ;;
    esac
done

# What the daemon says of its swarm.
swarm_info() { docker info --format "{{.Swarm.$1}}" 2>/dev/null; }

is_in_a_swarm() { [ "$(swarm_info LocalNodeState)" != inactive ]; }

manages() { [ "$(swarm_info ControlAvailable)" = true ]; }

# Only a manager that hears the leader can list the nodes.
hears_the_leader() { docker node ls >/dev/null 2>&1; }

# Where the swarm's state lies, which goes when the node leaves: what Berth notes there goes with it.
note() { printf '%s/swarm/berth' "$(docker info --format '{{.DockerRootDir}}')"; }

# Field $2 (name, role or machine) of the node $1 as the settings have it; nothing where it has no role.
of_node() {
    printf '%s' "$nodes" | while IFS="$tab" read -r name address role machine; do
        [ "$name" = "$1" ] || continue
        case $2 in
        name) printf '%s' "$name" ;;
        role) printf '%s' "$role" ;;
        machine) printf '%s' "$machine" ;;
        esac
    done
}

# The swarm's nodes: ID, name, status, what kind of manager (or -), on which machine by Berth's label (or -).
list_nodes() {
    ids=$(docker node ls --quiet) && [ -n "$ids" ] || return 1
    label='{{with index .Spec.Labels "berth.machine"}}{{.}}{{else}}-{{end}}'
    set -- '{{.ID}}' '{{.Description.Hostname}}' '{{.Status.State}}' \
        '{{if .ManagerStatus}}{{.ManagerStatus.Reachability}}{{else}}-{{end}}' "$label"
    # shellcheck disable=SC2086  # ids are words
    docker node inspect --format "$1$tab$2$tab$3$tab$4$tab$5" $ids
}

# Removes node $1, called $2: its work first, then its vote, then itself.
remove_node() {
    docker node update --availability drain "$1" >/dev/null 2>&1 || :
    wait_for 30 is_idle "$1" || log "$2 still has tasks; it goes all the same"
    if is_manager "$1"; then
        wait_for 20 demote "$1" || fail "the swarm does not let its manager $2 go: $problem"
        wait_for 20 is_no_manager "$1" || fail "the swarm's manager $2 was demoted, and still is one after 20 s"
    fi
    wait_for 20 remove "$1" || fail "the swarm does not let $2 go: $problem"
    log "$2 left the swarm"
}

status_of() { docker node inspect --format '{{.Status.State}}' "$1" 2>/dev/null; }

is_idle() {
    [ "$(status_of "$1")" != ready ] ||
        ! docker node ps "$1" --format '{{.CurrentState}}' 2>/dev/null | grep -q '^Running'
}

is_manager() { [ "$(docker node inspect --format '{{if .ManagerStatus}}yes{{end}}' "$1" 2>/dev/null)" = yes ]; }

is_no_manager() { ! is_manager "$1"; }

# What the swarm has against these two is in $problem: wait_for tries them again.
demote() { problem=$(docker node demote "$1" 2>&1 >/dev/null); }

remove() {
    docker node inspect "$1" >/dev/null 2>&1 || return 0
    problem=$(docker node rm --force "$1" 2>&1 >/dev/null)
}
