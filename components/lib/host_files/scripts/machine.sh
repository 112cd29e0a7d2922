# What starts services on this machine, and where its family of systems keeps the flags of the Docker daemon.

init_system() {
    program=$(readlink -f /proc/1/exe 2>/dev/null || ps -p 1 -o comm= 2>/dev/null)
    case $program in
    */systemd) echo systemd ;;
    *)
        if "${program:-false}" --version 2>/dev/null </dev/null | grep -q upstart; then
            echo upstart
        elif [ -d /etc/init.d ]; then
            echo sysvinit
        else
            basename "${program:-unknown}"
        fi
        ;;
    esac
}

flags_file() {
    # shellcheck disable=SC1091  # without it the machine counts as one of Debian's family
    family=$( (. /etc/os-release && printf ' %s %s ' "$ID" "${ID_LIKE-}") 2>/dev/null || :)
    case $family in
    *' rhel '* | *' fedora '* | *' centos '*) echo /etc/sysconfig/docker ;;
    *) echo /etc/default/docker ;;
    esac
}
