# After every node is in, after swarm.sh, on the first manager: roles, labels and networks as the settings have them.
#   converge.sh STACK
stack=$1

missing_nodes() {
    list=$(list_nodes) || return 1
    missing=$(printf '%s' "$nodes" | while IFS="$tab" read -r name _; do
        printf '%s\n' "$list" | awk -F '\t' -v name="$name" '$2 == name && $3 == "ready" { found = 1 } END { exit !found }' || printf ' %s' "$name"
    done)
    [ -z "$missing" ]
}
missing=''
wait_for 60 missing_nodes || fail "not ready in the swarm after 60 s:$missing (docker node ls; the swarm knows nodes by their host names)"

# What is left of a node that joined anew; it takes the managers some heartbeats to miss it.
is_told_apart() {
    list=$(list_nodes) && [ -z "$(printf '%s\n' "$list" | awk -F '\t' '$3 == "ready" { print $2 }' | sort | uniq -d)" ]
}
wait_for 60 is_told_apart || fail "two nodes of the swarm have the same host name: docker node ls"
printf '%s\n' "$list" | while IFS="$tab" read -r candidate who status _; do
    [ "$status" != ready ] || continue
    let_go "$candidate" "$who"
done

# Promoted before others are demoted: there are never fewer managers than before.
for wanted in manager worker; do
    printf '%s\n' "$list" | while IFS="$tab" read -r id who status manager _; do
        [ "$status" = ready ] && [ "$(of_node "$who" 3)" = "$wanted" ] || continue
        case $wanted$manager in
        manager-) docker node promote "$id" ;;
        worker-) ;;
        worker*) wait_for 20 demoted || fail "the swarm does not demote $who: $problem" ;;
        esac
    done
done

# Labels that Berth has set before and that are not wanted any more go; those of others stay.
printf '%s\n' "$list" | while IFS="$tab" read -r id who status _; do
    [ "$status" = ready ] || continue
    set -- --label-add "berth.machine=$(of_node "$who" 4)"
    keys=$(printf '%s' "$labels" | awk -F '\t' -v name="$who" '$1 == name { printf "%s%s", s, $2; s = " " }')
    for key in $(docker node inspect --format '{{with index .Spec.Labels "berth.labels"}}{{.}}{{end}}' "$id"); do
        case " $keys " in *" $key "*) ;; *) set -- "$@" --label-rm "$key" ;; esac
    done
    for key in $keys; do
        set -- "$@" --label-add "$key=$(printf '%s' "$labels" | awk -F '\t' -v name="$who" -v key="$key" '$1 == name && $2 == key { print $3 }')"
    done
    docker node update "$@" --label-add "berth.labels=$keys" "$id" >/dev/null
done

options_of() {
    docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}} {{range $key, $value := .Options}}{{if eq $key "encrypted"}}encrypted{{end}}{{end}} {{.Attachable}}' "$1" 2>/dev/null
}

remove_network() {
    problem=$(docker network rm "$1" 2>&1 >/dev/null) || fail "the network $1 cannot be $2: $problem"
    log "network $1 removed"
}

for name in $(docker network ls --filter driver=overlay --filter "label=berth.stack=$stack" --format '{{.Name}}'); do
    wanted=$(printf '%s' "$networks" | awk -F '\t' -v name="$name" '$1 == name { print $2, ($3 == "encrypted" ? $3 : ""), ($4 == "attachable" ? "true" : "false") }')
    if [ -z "$wanted" ]; then remove_network "$name" 'removed'; continue; fi
    [ "$(options_of "$name")" = "$wanted" ] || remove_network "$name" 'made anew with other settings'
done
printf '%s' "$networks" | while IFS="$tab" read -r name subnet encryption reach; do
    if docker network inspect "$name" >/dev/null 2>&1; then
        [ "$(docker network inspect --format '{{index .Labels "berth.stack"}}' "$name")" = "$stack" ] ||
            fail "there is a network $name already that Berth did not make: remove it, or give yours in berth:swarm.networks another name"
        continue
    fi
    set -- --driver overlay --subnet "$subnet" --label "berth.stack=$stack"
    [ "$encryption" != encrypted ] || set -- "$@" --opt encrypted
    [ "$reach" != attachable ] || set -- "$@" --attachable
    docker network create "$@" "$name" >/dev/null
    log "network $name created"
done
