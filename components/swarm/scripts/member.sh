# A node's way into the swarm, after swarm.sh.   member.sh first|next    first: makes the swarm if nobody knows of one
# The first one prints the tokens for the others.
place=$1

# Tokens go to dockerd by standard input: an argument would be seen by everybody on this node.
to_engine() {
    answer=$(curl --silent --show-error --max-time 60 --unix-socket /var/run/docker.sock --header 'Content-Type: application/json' \
        --data @- --write-out '%{http_code}' "http://docker/swarm/$1" 2>&1)
    case $answer in *200) ;; *) fail "$own cannot $1 the swarm: $answer" ;; esac
}

join() {
    managers=$(printf '%s' "$nodes" | awk -F '\t' -v own="$own" '$3 == "manager" && $1 != own { printf "%s\"%s:2377\"", s, $2; s = "," }')
    token=$(printf '%s' "$known" | awk -F '\t' -v role="$role" '$2 == role { print $3; exit }')
    note_down joining
    to_engine join <<EOF
{"ListenAddr": "$address:2377", "AdvertiseAddr": "$address", "DataPathAddr": "$address", "RemoteAddrs": [$managers], "JoinToken": "$token"}
EOF
    log "$own joined as $role" >&2
}

make() {
    note_down joining
    to_engine init <<EOF
{"ListenAddr": "$address:2377", "AdvertiseAddr": "$address", "DataPathAddr": "$address", "DefaultAddrPool": ["$pool"], "SubnetSize": 24}
EOF
    log "$own made the swarm" >&2
}

note_down() {
    note=$(note)
    mkdir -p "${note%/*}"
    printf '%s\n' "$1" >"$note"
}

can_encrypt() {
    ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xbe127 mode transport \
        aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 64 2>/dev/null || return 1
    ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xbe127
}

command -v curl >/dev/null 2>&1 || fail 'curl is not installed on this node; install it, then run again'
if [ "$encrypts" = yes ] && command -v ip >/dev/null 2>&1; then
    can_encrypt || fail "the kernel of $own has no ESP (CONFIG_INET_ESP, AES-GCM): an encrypted network would drop all that goes to other nodes. Set \`encrypted: false\` for berth:swarm.networks, or use another kernel"
fi

state=$(about LocalNodeState)
noted=$(cat "$(note)" 2>/dev/null || :)
if [ "$state" != inactive ] && [ -z "$noted" ]; then
    fail "$own is in a swarm already that Berth did not make: take it out (docker swarm leave), then run again"
fi
# Removed by the others, or left over from a swarm that is no more: whoever knows of no other swarm keeps it.
if [ "$state" = error ] || { [ "$state" != inactive ] && [ -n "$cluster" ] && [ "$noted" != joining ] && [ "$noted" != "$cluster" ]; }; then
    docker swarm leave --force >/dev/null
    state=inactive
fi
if [ "$state" = inactive ]; then
    if [ -n "$known" ]; then join; elif [ "$place" = first ]; then make; else fail "no manager gave $own a token"; fi
fi
in_the_swarm() { [ "$(about LocalNodeState)" = active ]; }
wait_for 60 in_the_swarm || fail "$own did not get into the swarm within 60 s: $(about Error)"

if [ "$place" = first ]; then
    wait_for 30 manages || fail "$own is in the swarm, but no manager of it"
    wait_for 30 hears_the_leader || fail "$own hears no leader of the swarm"
    cluster=$(about Cluster.ID)
    # shellcheck disable=SC2046  # ids are words
    before=$(docker node inspect --format '{{with index .Spec.Labels "berth.tokens"}}{{.}}{{end}}' $(docker node ls --quiet) | sort -n | tail -n 1)
    if [ -n "$before" ] && [ "$before" != "$tokens" ]; then
        for each in worker manager; do docker swarm join-token --rotate --quiet "$each" >/dev/null; done
        log 'new tokens' >&2
    fi
    docker node update --label-add "berth.tokens=$tokens" "$(about NodeID)" >/dev/null
    for each in worker manager; do printf 'token\t%s\t%s\n' "$each" "$(docker swarm join-token --quiet "$each")"; done
    printf 'cluster\t%s\n' "$cluster"
fi
note_down "$cluster"
