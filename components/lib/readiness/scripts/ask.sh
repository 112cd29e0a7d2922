#!/bin/sh
# Asks over HTTP from this machine; a part of other scripts.
#   wait_for_answers SECONDS    standard input: STATUS<tab>URL<tab>CA FILE or -<tab>HOST:PORT:ADDRESS or -
wait_for_answers() {
    deadline=$(($(date +%s) + $1))
    tab=$(printf '\t')
    command -v curl >/dev/null 2>&1 || {
        echo 'berth: curl is not installed on this node; install it, then run again' >&2
        exit 1
    }
    while IFS="$tab" read -r wanted url ca resolve; do
        set -- --silent --show-error --max-time 5 --output /dev/null --write-out '%{http_code}'
        [ "$ca" = - ] || set -- "$@" --cacert "$ca"
        [ "$resolve" = - ] || set -- "$@" --resolve "$resolve"
        until answer=$(curl "$@" "$url" 2>&1) && [ "$answer" = "$wanted" ]; do
            if [ "$(date +%s)" -ge "$deadline" ]; then
                echo "berth: $url did not answer with $wanted in time; the last answer was: $answer" >&2
                exit 1
            fi
            sleep 0.3
        done
        echo "$url answers $wanted"
    done
}
