# A node's way into the swarm, after swarm.sh.   member.sh first|next    first: makes the swarm if nobody knows of one
# The first one prints the tokens for the others.
place=$1

# Asks dockerd to `init` or `join` by standard input: a token in an argument would be seen by everybody on this node.
to_engine() {
    answer=$(curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock \
        --header 'Content-Type: application/json' --data @- --write-out '%{http_code}' "http://docker/swarm/$1" 2>&1)
    case $answer in *200) ;; *) fail "$own_name cannot $1 the swarm: $answer" ;; esac
}

# The other managers, as JSON.
other_managers() {
    printf '%s' "$nodes" | awk -F '\t' -v own="$own_name" '
        $3 == "manager" && $1 != own { printf "%s\"%s:2377\"", separator, $2; separator = "," }'
}

token_for() { printf '%s' "$join_tokens" | awk -F '\t' -v role="$1" '$2 == role { print $3; exit }'; }

join() {
    write_note joining
    to_engine join <<EOF
{"ListenAddr": "$own_address:2377", "AdvertiseAddr": "$own_address", "DataPathAddr": "$own_address",
 "RemoteAddrs": [$(other_managers)], "JoinToken": "$(token_for "$own_role")"}
EOF
    log "$own_name joined as $own_role" >&2
}

make() {
    write_note joining
    to_engine init <<EOF
{"ListenAddr": "$own_address:2377", "AdvertiseAddr": "$own_address", "DataPathAddr": "$own_address",
 "DefaultAddrPool": ["$pool"], "SubnetSize": 24}
EOF
    log "$own_name made the swarm" >&2
}

write_note() {
    note=$(note)
    mkdir -p "${note%/*}"
    printf '%s\n' "$1" >"$note"
}

# A node is in another swarm that was removed by the others, or left over from one that is no more; whoever knows of no
# other swarm keeps it.
is_in_the_wrong_swarm() {
    [ "$state" != error ] || return 0
    [ "$state" != inactive ] && [ -n "$cluster" ] || return 1
    [ "$noted" != joining ] && [ "$noted" != "$cluster" ]
}

can_encrypt() {
    ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xbe127 mode transport \
        aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 64 2>/dev/null || return 1
    ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xbe127
}

# What the nodes' labels say of the tokens that the swarm has; the highest, where they differ.
version_of_tokens() {
    # shellcheck disable=SC2046  # ids are words
    docker node inspect --format '{{with index .Spec.Labels "berth.tokens"}}{{.}}{{end}}' $(docker node ls --quiet) |
        sort -n | tail -n 1
}

command -v curl >/dev/null 2>&1 || fail 'curl is not installed on this node; install it, then run again'
if [ "$encrypts" = yes ] && command -v ip >/dev/null 2>&1; then
    can_encrypt ||
        fail "the kernel of $own_name has no ESP (CONFIG_INET_ESP, AES-GCM): an encrypted network would drop all that goes to" \
            "other nodes. Set \`encrypted: false\` for berth:swarm.networks, or use another kernel"
fi

state=$(swarm_info LocalNodeState)
noted=$(cat "$(note)" 2>/dev/null || :)
if [ "$state" != inactive ] && [ -z "$noted" ]; then
    fail "$own_name is in a swarm already that Berth did not make: take it out (docker swarm leave), then run again"
fi
if is_in_the_wrong_swarm; then
    docker swarm leave --force >/dev/null
    state=inactive
fi
if [ "$state" = inactive ]; then
    if [ -n "$join_tokens" ]; then
        join
    elif [ "$place" = first ]; then
        make
    else
        fail "no manager gave $own_name a token"
    fi
fi
is_active() { [ "$(swarm_info LocalNodeState)" = active ]; }
wait_for 60 is_active || fail "$own_name did not get into the swarm within 60 s: $(swarm_info Error)"

if [ "$place" = first ]; then
    wait_for 30 manages || fail "$own_name is in the swarm, but no manager of it"
    wait_for 30 hears_the_leader || fail "$own_name hears no leader of the swarm"
    cluster=$(swarm_info Cluster.ID)
    before=$(version_of_tokens)
    if [ -n "$before" ] && [ "$before" != "$tokens" ]; then
        for each in worker manager; do docker swarm join-token --rotate --quiet "$each" >/dev/null; done
        log 'new tokens' >&2
    fi
    docker node update --label-add "berth.tokens=$tokens" "$(swarm_info NodeID)" >/dev/null
    for each in worker manager; do printf 'token\t%s\t%s\n' "$each" "$(docker swarm join-token --quiet "$each")"; done
    printf 'cluster\t%s\n' "$cluster"
fi
write_note "$cluster"
