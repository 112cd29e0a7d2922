# Whether the object store keeps its write quorum without this node, as each of its servers sees it.

# What this node's server was started with, one word a line; nothing when none runs here.
store_arguments() {
    id=$(docker ps --quiet --filter label=berth.service=object-store | head -n 1)
    [ -z "$id" ] || docker inspect --format '{{range .Args}}{{println .}}{{end}}' "$id"
}

# Of those words: where the store's servers answer; nothing when there are too few to lose one.
servers_of() {
    servers=$(printf '%s\n' "$1" | sed -n 's|^\(https\{0,1\}://[^/]*\)/.*|\1|p')
    [ "$(printf '%s\n' "$servers" | wc -l)" -lt 4 ] || printf '%s\n' "$servers"
}

# Of those words: the CA that the servers know each other by.
ca_of() {
    printf '%s/CAs/ca.crt\n' "$(printf '%s\n' "$1" | sed -n '/^--certs-dir$/{n;p;}')"
}

# The servers $1 that would lose their write quorum with this one, do not answer, or show no certificate of the CA $2.
servers_against_it() {
    for server in $1; do
        answer=$(curl --silent --cacert "$2" --max-time 3 --output /dev/null --write-out '%{http_code}' \
            "$server/minio/health/cluster?maintenance=true") || :
        [ "$answer" = 200 ] || printf '%s (%s)\n' "$server" "$answer"
    done
}

no_server_is_against_it() {
    against=$(servers_against_it "$servers" "$ca" | paste -sd ' ' -)
    [ -z "$against" ]
}

# Waits SECONDS for it; who is against it is printed.
quorum_without_this_node() {
    arguments=$(store_arguments)
    servers=$(servers_of "$arguments")
    [ -n "$servers" ] || return 0
    ca=$(ca_of "$arguments")
    wait_for "$1" no_server_is_against_it || {
        printf '%s' "$against"
        return 1
    }
}
