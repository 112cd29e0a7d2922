#!/bin/sh
# What runs in the virtual address's container.
#   address.sh start ADDRESS CONFIGURATION    keepalived, on the interface that carries this node's own address
#   address.sh ask URL                        succeeds when it answers
#   address.sh awake                          fails when every nginx process of this node is stopped or frozen
#   address.sh hold NUMBER                    notes by how much having the address weighs
set -eu
noted=/run/nginx-processes

# The states of the processes whose numbers are $1, in $states; fails when one of them is no nginx any more.
look_at() {
    states=''
    for number in $1; do
        { read -r _ name state _ <"/proc/$number/stat"; } 2>/dev/null || return 1
        [ "$name" = '(nginx)' ] || return 1
        states=$states$state
    done
    [ -n "$states" ]
}

case $1 in
start)
    interface=$(ip -o -4 address show | grep -F "inet $2/" | head -n 1 | tr -s ' ' | cut -d ' ' -f 2)
    [ -n "$interface" ] || {
        echo "berth: no interface of this node has the address $2 (yet), which berth:nodes gives it" >&2
        exit 1
    }
    # What a killed keepalived left would keep the next one from starting: both are process 1.
    rm -rf /run/keepalived.pid /run/keepalived
    echo 0 >/run/held
    sed "s/@interface@/$interface/" "$3" >/run/keepalived.conf
    exec keepalived --dont-fork --log-console --vrrp --use-file=/run/keepalived.conf
    ;;
ask) exec wget -q -O /dev/null "$2" ;;
awake)
    # All processes are only gone through when the ones that are known have changed.
    if ! look_at "$(cat "$noted" 2>/dev/null || :)"; then
        grep -ls '^[0-9]* (nginx) ' /proc/[0-9]*/stat 2>/dev/null | cut -d / -f 3 >"$noted" || :
        look_at "$(cat "$noted")" || exit 0
    fi
    case $states in *[!TtD]*) exit 0 ;; *) exit 1 ;; esac
    ;;
hold) echo "$2" >/run/held ;;
esac
