# Brings a snapshot back on one member, after members.sh.
#   restore.sh unpack FILE TOKEN    makes data of it, beside what is there; FILE goes
#   restore.sh swap TOKEN           ends the member and puts the new data in the old one's place, which is kept beside
#   restore.sh start                waits until it is fit
#   restore.sh back TOKEN           undoes all of it
restored=$data/restored swapped=$data/swapped

unpack() {
    rm -rf -- "$restored"
    all=$(printf '%s' "$members" | awk '{ printf "%s%s=%s", s, $1, $3; s = "," }')
    if ! problem=$(offline snapshot restore "$1" --data-dir "$restored" --name "$name" --initial-cluster "$all" \
        --initial-cluster-token "$2" --initial-advertise-peer-urls "$peer" 2>&1 >/dev/null); then
        rm -rf -- "$restored"
        fail "the file is no snapshot that etcd on $name can read: $(printf '%s\n' "$problem" | tail -n 1 | cut -c 1-300)"
    fi
    chown -R etcd:etcd "$restored"
}

case $1 in
unpack)
    trap 'rm -f -- "$file"' EXIT
    file=$2
    unpack "$2" "$3"
    ;;
swap)
    systemctl stop "$unit"
    rm -rf -- "$data/before"
    ! has_data || mv -- "$data/member" "$data/before"
    printf '%s\n' "$2" >"$swapped"
    mv -- "$restored/member" "$data/member"
    rm -rf -- "$restored"
    ;;
start)
    systemctl start --no-block "$unit"
    wait_for "$patience" answers "$client" || fail "etcd on $name does not become healthy within $patience s (journalctl -u $unit)"
    ;;
back)
    # What lies beside the data may be of an earlier time.
    if [ "$(cat "$swapped" 2>/dev/null)" = "$2" ]; then
        systemctl stop "$unit"
        rm -rf -- "$data/member"
        [ ! -d "$data/before" ] || mv -- "$data/before" "$data/member"
        rm -f -- "$swapped"
    fi
    rm -rf -- "$restored"
    systemctl start --no-block "$unit"
    ;;
esac
