# The bench's part of a bundle. Lines: package NAME; service NAME. Both are checked, and repaired, on every run.
# shellcheck shell=sh disable=SC2154  # what bundle.sh sets
tab=$(printf '\t')

hook_line() {
    case $1 in
    "package$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/packages" ;;
    "service$tab"*) printf '%s\n' "${1#*"$tab"}" >>"$work/services" ;;
    *) fail "the bundle has a line that this version does not know: $1" ;;
    esac
}

hook_after_change() {
    while IFS= read -r package; do
        dpkg-query -W -f '${Status}\n' "$package" | grep -qx 'install ok installed' || apt-get install -y "$package"
    done <"$work/packages"
    while IFS= read -r service; do
        "/etc/init.d/$service" status || "/etc/init.d/$service" start
    done <"$work/services"
}
