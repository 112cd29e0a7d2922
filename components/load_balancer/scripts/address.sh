#!/bin/sh
# What runs in the virtual address's container.
#   address.sh start ADDRESS CONFIGURATION    keepalived, on the interface that carries this node's own address
#   address.sh ask URL                        succeeds when it answers
#   address.sh hold NUMBER                    notes by how much having the address weighs
set -eu
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
hold) echo "$2" >/run/held ;;
esac
