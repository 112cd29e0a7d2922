#!/bin/sh
# The floor: the six items as one short script on the host, each written only where it differs. Runs in the unpacked payload.
set -eu
umask 022

place() {
    if ! cmp -s -- "$1" "$2"; then
        cp -- "$1" "$2.new"
        mv -f -- "$2.new" "$2"
    fi
}

place daemon.json /etc/docker/daemon.json
place ca.crt /etc/docker/certs.d/registry.bench.test:4000/ca.crt
place drop-in.conf /etc/systemd/system/docker.service.d/berth-bench.conf
{
    sed '/^# BEGIN berth bench$/,/^# END berth bench$/d' /etc/bench/hosts
    echo '# BEGIN berth bench'
    cat hosts.block
    echo '# END berth bench'
} >hosts
place hosts /etc/bench/hosts
# shellcheck disable=SC1091  # the payload has both
. ./package.sh
# shellcheck disable=SC1091
. ./service.sh
