# Asks over HTTP from this machine; a part of other scripts, after lib.sh.
#   wait_for_answers SECONDS    standard input: STATUS<tab>URL<tab>CA FILE or -<tab>HOST:PORT:ADDRESS or -
wait_for_answers() {
    command -v curl >/dev/null 2>&1 || fail 'curl is not installed on this node; install it, then run again'
    # One limit for all of them.
    answers_until=$(($(seconds) + $1))
    while IFS="$tab" read -r wanted url ca resolve; do
        wait_for "$((answers_until - $(seconds)))" has_answer ||
            fail "$url did not answer with $wanted in time; the last answer was: $answer"
        log "$url answers $wanted"
    done
}

has_answer() {
    set -- --silent --show-error --max-time 5 --output /dev/null --write-out '%{http_code}'
    [ "$ca" = - ] || set -- "$@" --cacert "$ca"
    [ "$resolve" = - ] || set -- "$@" --resolve "$resolve"
    answer=$(curl "$@" "$url" 2>&1) && [ "$answer" = "$wanted" ]
}
