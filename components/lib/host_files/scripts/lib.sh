#!/bin/sh
# What every script begins with: messages, values of its input, and waiting.
set -eu
LC_ALL=C
export LC_ALL
tab=$(printf '\t')
# Lines KEY<tab>VALUE, where a script reads such; never evaluated.
input=''

log() { printf '%s\n' "$*"; }

# Ends the script with one sentence: what is wrong, and what to do.
fail() {
    printf 'berth: %s\n' "$*" >&2
    exit 1
}

# The values of key $1 in the input, one a line.
get() { printf '%s\n' "$input" | sed -n "s/^$1$tab//p"; }

# By a clock that nobody sets.
seconds() {
    read -r uptime _ </proc/uptime
    printf '%s' "${uptime%%.*}"
}

# Runs $2... until it succeeds, for at least $1 seconds; soon again at first, then every second.
wait_for() {
    wait_until=$(($(seconds) + $1)) wait_tries=0
    shift
    until "$@"; do
        [ "$(seconds)" -le "$wait_until" ] || return 1
        wait_tries=$((wait_tries + 1))
        if [ "$wait_tries" -lt 10 ]; then sleep 0.3; else sleep 1; fi
    done
}
