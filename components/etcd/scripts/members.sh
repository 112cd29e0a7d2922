# What a member's node knows of the cluster; the first part of reconcile_member.sh, converge.sh and the scripts of backup and restore.
#   SCRIPT ARGUMENTS <lines    own NAME CLIENT PEER; member NAME CLIENT PEER, each; unit NAME; data DIRECTORY; config DIGEST;
#                              at the end, where the script wants one: snapshot, and then the file as it is
here=/etc/berth/etcd
# Notes about a restore, for root only.
state=/var/lib/berth/etcd-restore
join=/run/berth-etcd-join
tab=$(printf '\t')
timeout=60
members='' unit='' data='' config='' name='' client='' peer=''

while IFS="$tab" read -r word first second third; do
    case $word in
    own) name=$first client=$second peer=$third ;;
    member) members="$members$first $second $third
" ;;
    unit) unit=$first ;;
    data) data=$first ;;
    config) config=$first ;;
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

# The members but this one: name, client URL, peer URL.
others() { printf '%s' "$members" | while read -r line; do [ "${line%% *}" = "$name" ] || printf '%s\n' "$line"; done; }

# What the cluster says of its members, in $listed: ID, status, name, peer URL, client URL, learner. Fails where none
# of the others knows: in $listed are then no lines. A member asked of itself may be the one that is wrong.
ask_others() {
    listed=''
    for known in $(others | cut -d ' ' -f 2); do
        ask "$known" /version >/dev/null || continue
        if listed=$(at "$known" member list -w simple 2>/dev/null) && [ -n "$listed" ]; then
            listed=$(printf '%s\n' "$listed" | sed 's/, /,/g')
            return 0
        fi
    done
    listed=''
    return 1
}

# Field $2 of the listed member with the peer URL $1.
of_listed() { printf '%s\n' "$listed" | awk -F , -v peer="$1" -v field="$2" '$4 == peer { print $field; exit }'; }

is_wanted() { printf '%s' "$members" | awk -v peer="$1" '$3 == peer { found = 1 } END { exit !found }'; }

# Names of the listed voters that do not answer, this one left out; how many do, in $alive.
silent_voters() {
    alive=0 silent='' voters=0
    while IFS=, read -r _ _ who its_peer its_client learner; do
        [ "$learner" != true ] || continue
        voters=$((voters + 1))
        [ "$its_peer" != "$peer" ] || continue
        if [ -n "$its_client" ] && answers "$its_client"; then alive=$((alive + 1)); else silent="$silent ${who:-$its_peer}"; fi
    done <<EOF
$listed
EOF
}

# Whoever is etcd's user could have put a link at any name in its directory: there root acts as that user.
as_etcd() { runuser -u etcd -- "$@"; }

# From etcd 3.6 on etcdctl leaves what needs no server to another program, which older versions do not have.
offline=etcdctl
! command -v etcdutl >/dev/null 2>&1 || offline=etcdutl
