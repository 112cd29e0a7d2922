# What the VirtualBox scripts share. Settings come as lines `key value` on standard input; nothing of them is evaluated.
input=$(cat)

# A path of the settings, `~/` being this user's home.
path() {
    value=$(get "$1")
    case $value in
    \~/*) printf '%s/%s' "$HOME" "${value#\~/}" ;;
    *) printf '%s' "$value" ;;
    esac
}

# One command that changes something; VBoxManage's own first error is the reason that is given.
vbox() {
    said=$(VBoxManage "$@" 2>&1) || {
        why=$(printf '%s\n' "$said" | sed -n 's/^VBoxManage: error: //p' | head -n 1)
        fail "VBoxManage $1 $2 failed: ${why:-$(printf '%s\n' "$said" | tail -n 1)}"
    }
}

need_virtualbox() {
    command -v VBoxManage >/dev/null 2>&1 ||
        fail 'VBoxManage is not on this machine; install VirtualBox 6.1 or newer here, then run again'
    # It prints a note about its kernel driver among its answers.
    version=$(VBoxManage --version 2>/dev/null | sed -n 's/^\([0-9][0-9]*\.[0-9][0-9]*\)\..*/\1/p' | tail -n 1)
    major=${version%%.*} minor=${version#*.}
    if [ -z "$version" ] || [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 1 ]; }; then
        fail "VirtualBox ${version:-of an unknown version} is on this machine; install 6.1 or newer, then run again"
    fi
}
