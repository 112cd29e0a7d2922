# After every node is in, after swarm.sh, on the first manager: roles, labels and networks as the settings have them.
#   converge.sh STACK
stack=$1

# Names of the settings' nodes that are not ready among the swarm's nodes $1, each after a space.
missing_among() {
    printf '%s' "$nodes" | while IFS="$tab" read -r name _; do
        printf '%s\n' "$1" | awk -F '\t' -v name="$name" '
            $2 == name && $3 == "ready" { found = 1 }
            END { exit !found }' || printf ' %s' "$name"
    done
}

all_are_ready() {
    list=$(list_nodes) || return 1
    missing=$(missing_among "$list")
    [ -z "$missing" ]
}

missing=''
wait_for 60 all_are_ready ||
    fail "not ready in the swarm after 60 s:$missing (docker node ls; the swarm knows nodes by their host names)"

# What is left of a node that joined anew; it takes the managers some heartbeats to miss it.
names_are_unique() {
    list=$(list_nodes) || return 1
    [ -z "$(printf '%s\n' "$list" | awk -F '\t' '$3 == "ready" { print $2 }' | sort | uniq -d)" ]
}

wait_for 60 names_are_unique || fail "two nodes of the swarm have the same host name: docker node ls"
printf '%s\n' "$list" | while IFS="$tab" read -r id name status manager machine; do
    [ "$status" = ready ] || remove_node "$id" "$name"
done

# Promoted before others are demoted: there are never fewer managers than before.
for wanted in manager worker; do
    printf '%s\n' "$list" | while IFS="$tab" read -r id name status manager machine; do
        [ "$status" = ready ] && [ "$(of_node "$name" role)" = "$wanted" ] || continue
        if [ "$wanted" = manager ] && [ "$manager" = - ]; then
            docker node promote "$id"
        elif [ "$wanted" = worker ] && [ "$manager" != - ]; then
            wait_for 20 demote "$id" || fail "the swarm does not demote $name: $problem"
        fi
    done
done

label_keys() {
    printf '%s' "$labels" | awk -F '\t' -v node="$1" '$1 == node { printf "%s%s", separator, $2; separator = " " }'
}

label_value() {
    printf '%s' "$labels" | awk -F '\t' -v node="$1" -v key="$2" '$1 == node && $2 == key { print $3 }'
}

# Labels that Berth has set before and that are not wanted any more go; those of others stay.
printf '%s\n' "$list" | while IFS="$tab" read -r id name status manager machine; do
    [ "$status" = ready ] || continue
    set -- --label-add "berth.machine=$(of_node "$name" machine)"
    keys=$(label_keys "$name")
    for key in $(docker node inspect --format '{{with index .Spec.Labels "berth.labels"}}{{.}}{{end}}' "$id"); do
        case " $keys " in *" $key "*) ;; *) set -- "$@" --label-rm "$key" ;; esac
    done
    for key in $keys; do
        set -- "$@" --label-add "$key=$(label_value "$name" "$key")"
    done
    docker node update "$@" --label-add "berth.labels=$keys" "$id" >/dev/null
done

# Subnet, `encrypted` or nothing, and whether containers of others may join, by a space each: of network $1 as it is.
actual_options() {
    # shellcheck disable=SC2016  # the variables are Docker's
    encrypted='{{range $key, $value := .Options}}{{if eq $key "encrypted"}}encrypted{{end}}{{end}}'
    docker network inspect --format "{{range .IPAM.Config}}{{.Subnet}}{{end}} $encrypted {{.Attachable}}" "$1" 2>/dev/null
}

# The same as the settings have it; nothing where they have no such network.
wanted_options() {
    printf '%s' "$networks" | awk -F '\t' -v name="$1" '$1 == name {
        print $2, ($3 == "encrypted" ? $3 : ""), ($4 == "attachable" ? "true" : "false")
    }'
}

# $2: what could not be done with network $1, if it cannot be removed.
remove_network() {
    problem=$(docker network rm "$1" 2>&1 >/dev/null) || fail "the network $1 cannot be $2: $problem"
    log "network $1 removed"
}

for name in $(docker network ls --filter driver=overlay --filter "label=berth.stack=$stack" --format '{{.Name}}'); do
    wanted=$(wanted_options "$name")
    if [ -z "$wanted" ]; then
        remove_network "$name" 'removed'
    elif [ "$(actual_options "$name")" != "$wanted" ]; then
        remove_network "$name" 'made anew with other settings'
    fi
done
printf '%s' "$networks" | while IFS="$tab" read -r name subnet encryption reach; do
    if docker network inspect "$name" >/dev/null 2>&1; then
        [ "$(docker network inspect --format '{{index .Labels "berth.stack"}}' "$name")" = "$stack" ] ||
            fail "there is a network $name already that Berth did not make: remove it, or give yours in" \
                "berth:swarm.networks another name"
        continue
    fi
    set -- --driver overlay --subnet "$subnet" --label "berth.stack=$stack"
    [ "$encryption" != encrypted ] || set -- "$@" --opt encrypted
    [ "$reach" != attachable ] || set -- "$@" --attachable
    docker network create "$@" "$name" >/dev/null
    log "network $name created"
done
