# Whether the object store can do without this node's server for a while, as each of its servers sees it.

# Where the store's servers answer; nothing when none runs here, or when there are too few to lose one.
servers_of_the_store() {
    id=$(docker ps --quiet --filter label=berth.service=object-store | head -n 1)
    [ -n "$id" ] || return 0
    servers=$(docker inspect --format '{{range .Args}}{{println .}}{{end}}' "$id" | sed -n 's|^\(https\{0,1\}://[^/]*\)/.*|\1|p')
    [ "$(printf '%s\n' "$servers" | wc -l)" -lt 4 ] || printf '%s\n' "$servers"
}

# The servers that would lose their write quorum with this one, or do not answer.
against_a_pause() {
    for server in $1; do
        answer=$(curl --silent --insecure --max-time 3 --output /dev/null --write-out '%{http_code}' "$server/minio/health/cluster?maintenance=true") || :
        [ "$answer" = 200 ] || printf '%s (%s)\n' "$server" "$answer"
    done
}

# Waits SECONDS for it; who is against it is printed.
store_spares_this_node() {
    servers=$(servers_of_the_store)
    waited=0
    while [ -n "$servers" ]; do
        against=$(against_a_pause "$servers" | paste -sd ' ' -)
        [ -n "$against" ] || return 0
        waited=$((waited + 1))
        [ "$waited" -le "$1" ] || {
            printf '%s' "$against"
            return 1
        }
        sleep 1
    done
}
