#!/bin/sh
# Tells what this machine is like, and changes nothing.   probe.sh STACK <questions >facts
# A question is one line: a word, a tab, its operands. A fact is one line: a word and values, parted by tabs.
set -u
LC_ALL=C
export LC_ALL
stack=$1
tab=$(printf '\t')

fact() {
    printf '%s' "$1"
    shift
    for value in "$@"; do printf '\t%s' "$(printf '%s' "$value" | tr '\t\n' '  ')"; done
    printf '\n'
}

sum() { sha256sum | cut -d ' ' -f 1; }

init_system() {
    program=$(readlink -f /proc/1/exe 2>/dev/null || ps -p 1 -o comm= 2>/dev/null)
    case $program in
    */systemd) echo systemd ;;
    *)
        if "${program:-false}" --version 2>/dev/null | grep -q upstart; then
            echo upstart
        elif [ -d /etc/init.d ]; then
            echo sysvinit
        else
            basename "${program:-unknown}"
        fi
        ;;
    esac
}

about_machine() {
    # shellcheck disable=SC1091  # every Linux since 2012 has it; without it the name stays empty
    fact os "$( (. /etc/os-release && printf '%s' "$PRETTY_NAME") 2>/dev/null)"
    fact init "$(init_system)"
    fact time "$(date +%s)"
    if [ -d /run/systemd/system ]; then
        fact unit "$(systemctl is-active docker 2>/dev/null)" \
            "$(systemctl show docker --property=NeedDaemonReload --value 2>/dev/null)"
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
    docker inspect --format '{{index .Config.Labels "berth.service"}}	{{.Name}}	{{.Config.Image}}	{{.State.Status}}	{{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}}	{{.RestartCount}}	{{index .Config.Labels "org.opencontainers.image.version"}}' $ids |
        while IFS= read -r line; do printf 'container\t%s\n' "$line"; done
}

about_file() {
    if [ ! -e "$1" ]; then
        fact file "$1" missing missing
    elif [ -r "$1" ]; then
        fact file "$1" "$(stat -c %a -- "$1")" "$(sum <"$1")"
    else
        fact file "$1" "$(stat -c %a -- "$1")" unreadable
    fi
}

about_block() {
    fact block "$1" "$(awk -v begin="# BEGIN berth $stack" -v end="# END berth $stack" '
        $0 == end { inside = 0 }
        inside { print }
        $0 == begin { inside = 1 }' 2>/dev/null <"$1" | sum)"
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

about_machine
about_docker
while IFS=$tab read -r word operand; do
    case $word in
    file) about_file "$operand" ;;
    block) about_block "$operand" ;;
    # All at once: a server that is gone must not use up the time of the others.
    url) about_url "$operand" </dev/null & ;;
    resolve) fact resolve "$operand" "$(getent ahostsv4 "$operand" | awk 'NR == 1 { print $1 }')" ;;
    holds) fact holds "$operand" "$(ip -o -4 address show to "$operand" 2>/dev/null | awk 'NR == 1 { print "yes" }')" ;;
    info) docker info --format "$operand" 2>/dev/null | awk '{ print "info\t" $0 }' ;;
    trust)
        [ ! -r "$operand" ] || awk '{ print "trust\t" $0 }' <"$operand"
        ;;
    *) fact unknown "$word" ;;
    esac
done
wait
fact end
