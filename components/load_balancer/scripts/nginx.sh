# nginx's part of a bundle. Line: container NAME. New files are tested before nginx takes them over; no connection drops.
tab=$(printf '\t')
conf=/etc/berth/load-balancer/nginx.conf
container=''

stage_line() {
    case $1 in
    "container$tab"*) container=${1#*"$tab"} ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

stage_after_change() {
    [ -s "$work/changed" ] || [ -s "$work/dropped" ] || return 0
    state_of_container=$(docker inspect --format '{{.State.Status}}' "$container" 2>/dev/null) || state_of_container=none
    # An nginx that does not run, or dies again and again, reads the new files at its next start.
    [ "$state_of_container" = running ] || return 0
    if ! docker exec "$container" nginx -t -q -c "$conf" >"$work/nginx-test" 2>&1; then
        grep -q '^nginx: ' "$work/nginx-test" || return 0
        undo_change
        fail "nginx refuses the new configuration, the old one stays in force: $(head -n 1 "$work/nginx-test")"
    fi
    docker exec "$container" nginx -s reload -c "$conf" || fail 'nginx could not be told to reload'
    say 'nginx: reload'
}
