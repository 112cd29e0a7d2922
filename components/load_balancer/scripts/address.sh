#!/bin/sh
# What runs in the virtual address's container.
#   address.sh start ADDRESS CONFIGURATION    keepalived, on the interface that carries this node's own address
#   address.sh check_nginx URL                succeeds when nginx answers there
#   address.sh check_processes                fails when every nginx process of this node is stopped or frozen
#   address.sh check_upstream URL             succeeds when nginx reaches a replica there; slow to change its mind
#   address.sh notify_master NUMBER           notes by how much having the address weighs
#   address.sh notify_backup ADDRESS          notes that the address is gone, and ends every connection to it
#   address.sh alive                          succeeds while keepalived does its work
set -eu
processes_file=/run/nginx-processes
# How many answers came in a row, negative for missing ones.
answers_file=/run/answers-in-a-row

# The states of the processes whose numbers are $1, in $states; fails when one of them is no nginx any more.
read_states() {
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
check_nginx) exec wget -q -O /dev/null "$2" ;;
check_upstream)
    # When all replicas restart, one balancer sees them go and come a moment before the other: no reason to move the
    # address and cut all that is under way. Who has it counts as reaching them until three answers in a row are missing,
    # who has not only after five.
    answers=$(cat "$answers_file" 2>/dev/null || echo 0)
    [ "$answers" -le 0 ] && missing=$((answers - 1)) || missing=-1
    # Noted first: keepalived kills a script that takes too long.
    echo "$missing" >"$answers_file"
    if wget -q -T 2 -O /dev/null "$2"; then
        [ "$answers" -ge 0 ] && answers=$((answers + 1)) || answers=1
    else
        answers=$missing
    fi
    echo "$answers" >"$answers_file"
    [ "$(cat /run/held)" -eq 0 ] || exec test "$answers" -gt -3
    exec test "$answers" -ge 5
    ;;
check_processes)
    # All processes are only gone through when the ones that are known have changed.
    if ! read_states "$(cat "$processes_file" 2>/dev/null || :)"; then
        grep -ls '^[0-9]* (nginx) ' /proc/[0-9]*/stat 2>/dev/null | cut -d / -f 3 >"$processes_file" || :
        read_states "$(cat "$processes_file")" || exit 0
    fi
    case $states in *[!TtD]*) exit 0 ;; *) exit 1 ;; esac
    ;;
alive) exec kill -0 "$(cat /run/vrrp.pid)" ;;
notify_master) echo "$2" >/run/held ;;
notify_backup)
    echo 0 >/run/held
    # Nothing can be sent from an address that is gone, not even that the connection is: whoever waits for an answer would
    # do so until the limit of their own. On the loopback the address is this node's for a moment, and answers nobody new.
    ip address add "$2/32" dev lo 2>/dev/null || :
    ss --kill --numeric --oneline src "$2" >/dev/null || :
    ip address delete "$2/32" dev lo 2>/dev/null || :
    ;;
esac
