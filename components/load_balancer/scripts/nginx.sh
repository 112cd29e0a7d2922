# nginx's part of a bundle, after service.sh and reload.sh. Lines: replica ADDRESS PORT; status URL.
here=/etc/berth/load-balancer

hook_service_line() {
    case $1 in
    "replica$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/replicas" ;;
    "status$tab"*) status=${1#*"$tab"} ;;
    *) unknown_line "$1" ;;
    esac
}

# New replicas are in, those that left are out; what pool.sh said of the others stands.
sync_pool() {
    while IFS="$tab" read -r address port; do
        [ -e "$(pool_file "$address")" ] || put_in_pool "$address" "$port" ''
        pool_file "$address"
        echo
    done <"$work/replicas" >"$work/pool"
    for file in "$here"/pool/*.conf; do
        grep -qxF -- "$file" "$work/pool" || rm -f -- "$file"
    done
}

hook_after_change() {
    # Not while pool.sh changes the same directory.
    exec 9<"$here"
    flock 9
    cp -R "$here/pool" "$work/pool-before" 2>/dev/null || mkdir "$work/pool-before"
    sync_pool
    if is_loaded && [ ! -s "$work/changed" ] && [ ! -s "$work/dropped" ]; then return 0; fi
    if ! problem=$(reload_nginx); then
        undo_change
        rm -rf -- "$here/pool"
        cp -R "$work/pool-before" "$here/pool"
        fail "nginx refuses the new configuration, the old one stays in force: $problem"
    fi
    changed=yes
    log 'nginx: new configuration'
}

hook_after_remove() {
    rm -rf -- "$here/pool" "$here/generation.conf"
    while IFS= read -r path; do rmdir -- "$path" 2>/dev/null || :; done <"$work/made"
}
