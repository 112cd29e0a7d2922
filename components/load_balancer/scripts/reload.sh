# How nginx takes over what lies in its directory: tested first, then watched until the new workers have it.
# Needs: here (its directory), container (of nginx), status (URL of its page).

nginx_runs() { [ "$(docker inspect --format '{{.State.Status}}' "$container" 2>/dev/null)" = running ]; }

# All that nginx reads, in one word.
digest_of_files() {
    find "$here" -type f ! -name generation.conf ! -name '*.berth-new' -exec sha256sum {} + |
        LC_ALL=C sort | sha256sum | cut -c 1-16
}

is_loaded() { grep -qsF "\"$(digest_of_files)." "$here/generation.conf"; }

# Puts the files into force. What fails is said on standard output.
reload_nginx() {
    before=$(cat "$here/generation.conf" 2>/dev/null || :)
    # With the time, so that a second try differs from the first.
    generation=$(digest_of_files).$(date +%s)
    # shellcheck disable=SC2016  # the variable is nginx's
    put_generation "$(printf 'map "" $generation {\n    default "%s";\n}' "$generation")"
    # An nginx that does not run, or dies again and again, reads the new files at its next start.
    nginx_runs || return 0
    if refusal=$(docker exec "$container" nginx -t -q -c "$here/nginx.conf" 2>&1); then
        docker exec "$container" nginx -s reload -c "$here/nginx.conf" 2>/dev/null || return 0
        ! wait_for 5 is_active || return 0
        problem='it goes on with the old configuration; its log says why (docker logs)'
    else
        problem=$(printf '%s\n' "$refusal" | sed -n 's/.*\[emerg\] \([0-9#]*: \)*//p' | head -n 1)
        if [ -z "$problem" ]; then
            # Docker's refusal, not nginx's. An nginx that answers all the same goes on with what it read before.
            case $(curl -s --max-time 1 "$status") in '' | "$generation") return 0 ;; esac
            problem="nothing can be executed in $container (docker stop and docker start may repair that): $refusal"
        fi
    fi
    put_generation "$before"
    printf '%s\n' "$problem"
    return 1
}

put_generation() {
    printf '%s\n' "$1" >"$here/generation.berth-new"
    mv -f "$here/generation.berth-new" "$here/generation.conf"
}

# A reload is done in the background, and one whose ports are taken is not done at all.
is_active() { [ "$(curl -s --max-time 1 "$status")" = "$generation" ]; }

pool_file() { printf '%s/pool/%s.conf' "$here" "$1"; }

# Replica $1 at port $2 as nginx asks it; $3 is " down" for one that gets nothing. It stands there a second time as a
# backup that is never given up: when all replicas failed a moment ago, they are asked all the same.
put_in_pool() {
    mkdir -p "$here/pool"
    printf 'server %s:%s max_fails=1 fail_timeout=2s%s;\nserver %s:%s max_fails=0 backup%s;\n' \
        "$1" "$2" "$3" "$1" "$2" "$3" >"$(pool_file "$1").berth-new"
    mv -f "$(pool_file "$1").berth-new" "$(pool_file "$1")"
}
