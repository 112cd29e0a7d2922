# A machine without a hypervisor, seen from the deploy host: from its live system to the one on its disk, over SSH.
#   metal.sh check | install | start COMMAND    COMMAND runs install.sh there, with this script's standard input
#   metal.sh verify LOOK RESTART WAIT           the first two run installed.sh there, WAIT asks what `probe` lines say
# Standard input: lines KEY<tab>VALUE. What answers is looked at first: whichever run was killed, the next one goes on
# from there.
umask 077
verb=$1 command=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/input"
input=$(cat "$work/input")

node=$(get node) setting=$(get setting) key=$(get key) seconds=$(get seconds)
case $key in \~/*) key=$HOME/${key#\~/} ;; esac
for program in ssh ssh-keyscan; do
    command -v "$program" >/dev/null 2>&1 ||
        fail "$program is not on this machine; install OpenSSH's client, then run again"
done
[ -f "$key" ] || fail "there is no file $key (ssh.keyFile of $node); put the private key there, then run again"

# The two SSH servers of a machine: "" is the installed system's, "live_" the live one's.
shows_its_key() {
    ssh-keyscan -T 5 -p "$(get "$1port")" "$(get "$1host")" 2>/dev/null | cut -d ' ' -f 2,3 >"$work/shown"
    [ ! -s "$work/shown" ] || seen=yes
    grep -qxF "$(get "$1host_key" | cut -d ' ' -f 1,2)" "$work/shown"
}

# Which system answers, in $where; nothing if none does that may be spoken to.
look() {
    where='' seen=''
    if shows_its_key ''; then where=installed; elif shows_its_key live_; then where=live; fi
}

# Runs a command on one of them; nothing is sent to a machine that shows another key.
over() {
    system=$1
    shift
    printf 'machine %s\n' "$(get "${system}host_key")" >"$work/known"
    ssh -i "$key" -p "$(get "${system}port")" -l "$(get "${system}user")" -o IdentitiesOnly=yes -o BatchMode=yes \
        -o HostKeyAlias=machine -o UserKnownHostsFile="$work/known" -o GlobalKnownHostsFile=/dev/null \
        -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o LogLevel=ERROR \
        "$(get "${system}host")" "$@"
}

# What answers for the node is neither of its systems, or not the one that it should be by now.
not_its_own() {
    if [ "$where" = live ]; then
        fail "$node runs its live system; put $(get device) first in its boot order and start it from there"
    fi
    fail "what answers for $node shows neither $setting.live.hostKey nor the key made for it; nothing was sent to it"
}

# Waits for `any` of the two systems, for the `installed` one, or for the installed one `after` a restart, which may take
# a while to begin and pass through anything.
await() {
    wait_for "$2" system_answers "$1" && return 0
    [ -z "$seen" ] || not_its_own
    fail "$node answers neither at $(get host):$(get port) nor at $(get live_host):$(get live_port) after $2 s"
}

system_answers() {
    look
    case $1:$where in
    *:installed | any:live) return 0 ;;
    any:* | installed:*) [ -z "$seen" ] || not_its_own ;;
    esac
    return 1
}

ask() {
    over '' "$command" <"$work/input" 2>"$work/said"
}

# Until the installed system says that it is `ready`, or, if that will do, that it must `restart`.
await_answer() {
    wait_for "$seconds" says "$1" ||
        fail "$node is not ready after $seconds s: ${answer:-$(tail -n 1 "$work/said" | sed 's/^berth: //')}"
}

says() {
    answer=$(ask) || answer=
    case $1:$answer in *:ready | restart:restart) return 0 ;; esac
    return 1
}

case $verb in
check | install)
    await any "$(get timeout)"
    if [ "$where" = live ]; then over live_ "$command" <"$work/input"; else echo "$node is installed"; fi
    ;;
start)
    await any "$(get timeout)"
    if [ "$where" = live ]; then
        # The connection may end before the command does.
        over live_ "$command" <"$work/input" 2>"$work/said" || ! grep '^berth: ' "$work/said" >&2 || exit 1
        await after "$seconds"
    fi
    echo "$node runs from its disk"
    ;;
verify)
    await installed "$seconds"
    await_answer restart
    if [ "$answer" = restart ]; then
        over '' "$3" <"$work/input" || :
        await_answer ready
        get probe | over '' "$4"
        echo "$node was restarted"
    fi
    echo "$node runs its system"
    ;;
esac
