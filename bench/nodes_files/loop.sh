#!/bin/sh
# Runs apply.sh of a payload (a tar) on every host named on standard input: loop.sh SSH_CONFIG PARALLEL PAYLOAD
set -eu
config=$1
payload=$3
export config payload
# shellcheck disable=SC2016  # the variables are the inner shells'
exec xargs -P "$2" -I '{}' sh -c '
    exec ssh -F "$config" "$1" "d=\$(mktemp -d) && cd \"\$d\" && tar -x && sh ./apply.sh; s=\$?; rm -rf \"\$d\"; exit \$s" \
        <"$payload"' loop '{}'
