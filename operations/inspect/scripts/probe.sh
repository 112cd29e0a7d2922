# Tells what this machine is like, and changes nothing; after machine.sh and in_force.sh.   sh -c TEXT berth-probe STACK <questions >facts
# A question is one line: a word, a tab, its operands. A fact is one line: a word and values, parted by tabs.
set -u
LC_ALL=C
export LC_ALL
stack=$1
tab=$(printf '\t')
newline='
'

# Most of a short run's time is what its processes cost: nothing is started for a value that needs no change.
fact() {
    printf '%s' "$1"
    shift
    for value in "$@"; do
        case $value in *"$tab"* | *"$newline"*) value=$(printf '%s' "$value" | tr '\t\n' '  ') ;; esac
        printf '\t%s' "$value"
    done
    printf '\n'
}

about_machine() {
    # shellcheck disable=SC1091  # every Linux since 2012 has it; without it the name stays empty
    fact os "$( (. /etc/os-release && printf '%s' "$PRETTY_NAME") 2>/dev/null)"
    fact init "$(init_system)"
    fact time "$(date +%s)"
    if [ -d /run/systemd/system ]; then
        systemctl show docker.service docker.socket --property=Id,ActiveState,UnitFileState,NeedDaemonReload 2>/dev/null |
            sed "s/^/unit$tab/"
    fi
    df -Pk / /var/lib/docker 2>/dev/null | awk 'NR > 1 && !seen[$6]++ { print "disk\t" $6 "\t" $4 "\t" $5 }'
}

about_docker() {
    if ! version=$(docker version --format '{{.Server.Version}}' 2>&1); then
        fact docker stopped "$version"
        return
    fi
    fact docker running "$version"
    ids=$(docker ps --all --quiet --filter "label=berth.stack=$stack" --filter label=berth.service)
    [ -n "$ids" ] || return
    # shellcheck disable=SC2086  # ids are words
    docker inspect --format "container$tab$container" $ids
    unhealthy=$(docker ps --quiet --filter health=unhealthy --filter "label=berth.stack=$stack" --filter label=berth.service)
}

# What Docker calls unhealthy may have been well for a minute: its check is made once more.
about_health() {
    lines=$(docker inspect --format '{{println .Name}}{{range .Config.Healthcheck.Test}}{{println .}}{{end}}' "$1")
    set -- timeout 9 docker exec "$1"
    {
        read -r name
        # How the words are meant, which is CMD for all of ours.
        read -r _
        while IFS= read -r one; do set -- "$@" "$one"; done
    } <<EOF
$lines
EOF
    health=healthy
    said=$("$@" 2>&1) || {
        [ "$?" -ne 124 ] || said='no answer within 9 s'
        health=unhealthy
    }
    line=$(fact health "$name" "$health" "$said")
    printf '%s\n' "$line"
}

# keepalived's image may be another program's too, whose version it is labelled with.
about_keepalived() {
    version=$(timeout 9 docker exec "$1" keepalived --version 2>&1) || version=
    version=${version#Keepalived v}
    line=$(fact version "$1" "${version%%[ "$newline"]*}")
    printf '%s\n' "$line"
}

container='{{index .Config.Labels "berth.service"}}	{{.Name}}	{{.Config.Image}}	{{.State.Status}}	{{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}}	{{.RestartCount}}	{{index .Config.Labels "org.opencontainers.image.version"}}	{{.ID}}	{{json .Config}}	{{json .HostConfig}}'

about_files() {
    [ "$#" -gt 0 ] || return 0
    stat -c "stat$tab%a$tab%U:%G$tab%u:%g$tab%n" -- "$@" 2>/dev/null
    sha256sum -- "$@" 2>/dev/null | sed "s/^/sum$tab/"
    for path in "$@"; do
        [ -e "$path" ] || case $(ls -d -- "$path" 2>&1) in *denied*) fact hidden "$path" ;; esac
    done
}

about_block() {
    if grep -qsxF -- "# BEGIN berth $stack" "$1"; then
        fact block "$1" "$(awk -v begin="# BEGIN berth $stack" -v end="# END berth $stack" '
            $0 == end { inside = 0 }
            inside { print }
            $0 == begin { inside = 1 }' <"$1" | sha256sum | cut -d ' ' -f 1)"
    elif [ -e "$1" ] && [ ! -r "$1" ]; then
        fact block "$1" unreadable
    else
        fact block "$1" missing
    fi
}

# What a unit has said since it was last started: errors, and what ends a program.
about_journal() {
    run=$(systemctl show --property=InvocationID --value "$1" 2>/dev/null)
    [ -n "$run" ] || return 0
    journalctl --quiet --output=cat --lines=2000 "_SYSTEMD_INVOCATION_ID=$run" 2>/dev/null | awk -v unit="$1" -v OFS="$tab" '
        /level=error|"level":"error"/ { errors++ }
        /level=(fatal|panic)|"level":"(fatal|panic)"|^panic: |^fatal error: / { fatal++; last = $0 }
        END { gsub(/\t/, " ", last); print "journal", unit, errors + 0, fatal + 0, last }'
}

about_url() {
    IFS=$tab read -r wanted url ca resolve <<EOF
$1
EOF
    set -- --silent --show-error --connect-timeout 3 --max-time 5 --output /dev/null --write-out '%{http_code}'
    [ "$ca" = - ] || set -- "$@" --cacert "$ca"
    [ "$resolve" = - ] || set -- "$@" --resolve "$resolve"
    # In one piece: several of these write at the same time.
    line=$(fact url "$url" "$wanted" "$(curl "$@" -- "$url" 2>&1)")
    printf '%s\n' "$line"
}

# All at once, with the health checks: a server that is gone must not use up the time of the others.
about_urls() {
    while IFS= read -r question; do
        [ -z "$question" ] || about_url "$question" </dev/null &
    done <<EOF
$1
EOF
    wait
}

# A member's own word, and whether it reads: what it holds itself, and what the majority holds. etcdctl's `endpoint health`
# asks for alarms through the members' log, which grows by that; the page and the status say the same and write nothing.
about_etcd() (
    set -a
    # shellcheck disable=SC1090  # what etcdctl has to know, written by Berth
    . "$1" || exit 0
    set +a
    set -- --silent --show-error --connect-timeout 2 --max-time 5 --cacert "$ETCDCTL_CACERT" --cert "$ETCDCTL_CERT" --key "$ETCDCTL_KEY"
    health=$(curl "$@" "$ETCDCTL_ENDPOINTS/health" 2>&1)
    case $health in
    *'"health":"true"'*) fact etcd health healthy ;;
    *'"health":"false"'*) fact etcd health "$health" ;;
    *)
        fact etcd health "${health:-no answer}"
        exit 0
        ;;
    esac
    from_etcd endpoint status 2>/dev/null | sed "s/^/etcd${tab}status$tab/; s/, /$tab/g"
    from_etcd member list 2>/dev/null | sed "s/^/etcd${tab}member$tab/; s/, /$tab/g"
    for consistency in serializable linearizable; do
        said=$(from_etcd get --keys-only "--consistency=${consistency%"${consistency#?}"}" berth 2>&1 >/dev/null) && said=yes
        fact etcd read "$consistency" "${said##*"$newline"}"
    done
)

from_etcd() { etcdctl --dial-timeout=2s --command-timeout=3s "$@"; }

about_swarm() {
    docker info --format "swarm${tab}state$tab{{.Swarm.LocalNodeState}}$tab{{.Swarm.ControlAvailable}}$tab{{.Swarm.Error}}" 2>/dev/null
    timeout 6 docker node ls --format "swarm${tab}node$tab{{.Hostname}}$tab{{.Status}}$tab{{.Availability}}$tab{{.ManagerStatus}}" 2>/dev/null
    for id in $(timeout 6 docker network ls --quiet --filter driver=overlay --filter "label=berth.stack=$stack" 2>/dev/null); do
        docker network inspect --format "swarm${tab}network$tab{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}{{range \$key, \$value := .Options}}{{if eq \$key \"encrypted\"}} encrypted{{end}}{{end}}" "$id"
    done
}

unhealthy=''
about_machine
about_docker
urls='' keepalived=''
set --
while IFS=$tab read -r word operand; do
    case $word in
    file) set -- "$@" "$operand" ;;
    block) about_block "$operand" ;;
    url) urls=$urls$operand$newline ;;
    resolve) fact resolve "$operand" "$(getent ahostsv4 "$operand" | awk 'NR == 1 { print $1 }')" ;;
    holds) fact holds "$operand" "$(ip -o -4 address show to "$operand" 2>/dev/null | awk 'NR == 1 { print "yes" }')" ;;
    journal) about_journal "$operand" </dev/null ;;
    etcd) about_etcd "$operand" </dev/null ;;
    swarm) about_swarm </dev/null ;;
    keepalived) keepalived=$operand ;;
    firewall) fact firewall "$(firewall_state </dev/null)" ;;
    info) docker info --format "$operand" 2>/dev/null | awk '{ print "info\t" $0 }' ;;
    trust)
        [ ! -r "$operand" ] || awk '{ print "trust\t" $0 }' <"$operand"
        ;;
    *) fact unknown "$word" ;;
    esac
done
about_files "$@"
[ -z "$keepalived" ] || about_keepalived "$keepalived" </dev/null &
for id in $unhealthy; do about_health "$id" </dev/null & done
about_urls "$urls"
fact end
