# nginx's part of a bundle, after service.sh: new files are tested before nginx takes them over; no connection drops.
conf=/etc/berth/load-balancer/nginx.conf

stage_after_change() {
    [ -s "$work/changed" ] || [ -s "$work/dropped" ] || return 0
    # An nginx that does not run, or dies again and again, reads the new files at its next start.
    [ "$(status_of_container)" = running ] || return 0
    if ! docker exec "$container" nginx -t -q -c "$conf" >"$work/nginx-test" 2>&1; then
        grep -q '^nginx: ' "$work/nginx-test" || return 0
        undo_change
        fail "nginx refuses the new configuration, the old one stays in force: $(head -n 1 "$work/nginx-test")"
    fi
    docker exec "$container" nginx -s reload -c "$conf" || fail 'nginx could not be told to reload'
    say 'nginx: reload'
}
