# What a member's node knows of the cluster: after lib.sh, before reconcile_member.sh, converge.sh, leave.sh and the scripts
# of backup and restore.
#   SCRIPT ARGUMENTS <lines    own NAME CLIENT PEER; member NAME CLIENT PEER, each; unit NAME; data DIRECTORY;
#                              config DIGEST; at the end, where the script wants one: snapshot, and then the file as it is
here=/etc/berth/etcd
# Notes about a restore, for root only.
state=/var/lib/berth/etcd-restore
join=/run/berth-etcd-join
timeout=60
# Of all members lines `NAME CLIENT PEER`; the own ones once more.
members='' own_name='' own_client='' own_peer=''
unit='' data='' config=''

while IFS="$tab" read -r word value client peer; do
    case $word in
    own) own_name=$value own_client=$client own_peer=$peer ;;
    member) members="$members$value $client $peer
" ;;
    unit) unit=$value ;;
    data) data=$value ;;
    config) config=$value ;;
    # Read byte by byte up to here: what follows is left for the script.
    snapshot) break ;;
    esac
done

# The files of a member that goes are still there, those of one that never came are not.
if [ -f "$here/etcdctl.env" ]; then
    set -a
    # shellcheck disable=SC1091  # written by the bundle
    . "$here/etcdctl.env"
    set +a
fi

# $1 asked with etcdctl's words $2... (as an option beside the variable etcdctl refuses it).
at() {
    url=$1
    shift
    ETCDCTL_ENDPOINTS=$url timeout 15 etcdctl --dial-timeout=2s --command-timeout=5s "$@"
}

# Over HTTP, path $2: etcdctl goes on trying for seconds where nobody listens.
ask() {
    curl --silent --connect-timeout 1 --max-time 5 --cacert "$here/ca.crt" --cert "$here/member.crt" \
        --key "$here/member.key" "$1$2" 2>/dev/null
}

# A member is healthy that has just read through the leader.
answers() { ask "$1" /health | grep -q '"health":"true"'; }

has_data() { [ -d "$data/member" ]; }

# The members but this one, as $members has them.
others() {
    printf '%s' "$members" | while read -r name client peer; do
        [ "$name" = "$own_name" ] || printf '%s %s %s\n' "$name" "$client" "$peer"
    done
}

# Whether a member with the peer URL $1 is in the settings.
is_wanted() { printf '%s' "$members" | cut -d ' ' -f 3 | grep -qxF -- "$1"; }

# The cluster's members as the one at the client URL $1 lists them: lines ID,STATUS,NAME,PEER,CLIENT,LEARNER.
list_at() {
    lines=$(at "$1" member list -w simple 2>/dev/null) && [ -n "$lines" ] || return 1
    printf '%s\n' "$lines" | sed 's/, /,/g'
}

# The first of the other members that lists the cluster's: its client URL is in $asked, what it said in $listed. Fails where
# none of them does. A member asked of itself may be the one that is wrong.
ask_others() {
    for asked in $(others | cut -d ' ' -f 2); do
        ask "$asked" /version >/dev/null || continue
        ! listed=$(list_at "$asked") || return 0
    done
    listed=''
    return 1
}

# Field $2 (id, client or learner) of the listed member with the peer URL $1; nothing where there is none.
of_listed() {
    printf '%s\n' "$listed" | while IFS=, read -r id status name peer client learner; do
        [ "$peer" = "$1" ] || continue
        case $2 in
        id) printf '%s' "$id" ;;
        client) printf '%s' "$client" ;;
        learner) printf '%s' "$learner" ;;
        esac
        break
    done
}

# The listed voters, one a line: `own NAME`, `healthy NAME` or `silent NAME`.
voters() {
    printf '%s\n' "$listed" | while IFS=, read -r id status name peer client learner; do
        if [ -z "$id" ] || [ "$learner" = true ]; then continue; fi
        health=silent
        if [ "$peer" = "$own_peer" ]; then
            health=own
        elif [ -n "$client" ] && answers "$client"; then
            health=healthy
        fi
        printf '%s %s\n' "$health" "${name:-$peer}"
    done
}

# Of the lines $1 of `voters`, the names of those that are silent, each after a space.
silent_of() { printf '%s\n' "$1" | sed -n 's/^silent / /p' | tr -d '\n'; }

# Asks $1 to remove the member with the ID $2. What etcd has against it is in $problem: wait_for tries it again.
remove_member() { problem=$(at "$1" member remove "$2" 2>&1 >/dev/null); }

# Whoever is etcd's user could have put a link at any name in its directory: there root acts as that user.
as_etcd() { runuser -u etcd -- "$@"; }

# From etcd 3.6 on etcdctl leaves what needs no server to another program, which older versions do not have.
offline=etcdctl
! command -v etcdutl >/dev/null 2>&1 || offline=etcdutl
