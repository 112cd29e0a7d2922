# MinIO's part of a bundle, after service.sh. Line: certificate DIRECTORY.

hook_service_line() {
    case $1 in
    "certificate$tab"*) certificate=${1#*"$tab"} ;;
    *) unknown_line "$1" ;;
    esac
}

# MinIO watches its certificate for a write in place; a bundle's file comes by rename. A server that does not run reads
# it at its start.
hook_after_change() {
    wanted=$(cat -- "$certificate/public.crt" "$certificate/private.key" | sha256sum)
    [ "$(cat -- "$state/certificate" 2>/dev/null)" != "$wanted" ] || return 0
    if [ "$(status_of_container)" = running ]; then
        docker kill --signal HUP "$container" >/dev/null ||
            fail "$container cannot be made to load its new certificate (docker kill --signal HUP)"
        log 'MinIO: new certificate'
    fi
    printf '%s\n' "$wanted" >"$state/certificate"
}
