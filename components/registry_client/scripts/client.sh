# The registry client's part of a bundle. Line: adopt yes|no.
adopt=no

hook_line() {
    case $1 in
    "adopt$tab"*) adopt=${1#*"$tab"} ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

# Logins and ways that somebody else wrote are not replaced unasked. What Berth wrote is in the manifest.
hook_before_change() {
    [ "$adopt" = no ] || return 0
    while IFS= read -r path; do
        case $path in */config.json | */hosts.toml) ;; *) continue ;; esac
        if [ ! -s "$path" ] || has_entry "$state/manifest" "file $path"; then continue; fi
        fail "$path is there already, and Berth would replace it: move what it says elsewhere and remove it, or set" \
            "berth:docker.adopt to true to replace it (it comes back on destroy)"
    done <"$work/changed"
}
