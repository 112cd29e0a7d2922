# Brings a snapshot back on one member, after members.sh.
#   restore.sh unpack TOKEN    makes data of the snapshot that follows the lines, beside what is there
#   restore.sh swap TOKEN      ends the member and puts the new data in the old one's place, which is kept beside
#   restore.sh start           waits until it is healthy
#   restore.sh back TOKEN      undoes all of it
umask 077
cd /
restored=$data/restored file=$data/restored.snapshot swapped=$state/swapped

unpack() {
    trap 'as_etcd rm -f -- "$file"' EXIT
    trap 'exit 143' HUP INT TERM
    as_etcd rm -rf -- "$restored" "$file"
    as_etcd tee -- "$file" >/dev/null || fail "the snapshot cannot be written on $own_name. Is the disk full?"
    all=$(printf '%s' "$members" | awk '{ printf "%s%s=%s", s, $1, $3; s = "," }')
    if ! problem=$(as_etcd "$offline" snapshot restore "$file" --data-dir "$restored" --name "$own_name" --initial-cluster "$all" \
        --initial-cluster-token "$1" --initial-advertise-peer-urls "$own_peer" 2>&1 >/dev/null); then
        as_etcd rm -rf -- "$restored"
        fail "the file is no snapshot that etcd on $own_name can read: $(printf '%s\n' "$problem" | tail -n 1 | cut -c 1-300)"
    fi
}

case $1 in
unpack) unpack "$2" ;;
swap)
    systemctl stop "$unit"
    mkdir -p -- "$state"
    # A rename needs no room: between the two moves nothing may fail.
    printf '%s\n' "$2" >"$swapped.new"
    as_etcd rm -rf -- "$data/before"
    ! has_data || as_etcd mv -T -- "$data/member" "$data/before"
    mv -f -- "$swapped.new" "$swapped"
    as_etcd mv -T -- "$restored/member" "$data/member"
    as_etcd rm -rf -- "$restored"
    ;;
start)
    systemctl start --no-block "$unit"
    wait_for "$timeout" answers "$own_client" || fail "etcd on $own_name does not become healthy within $timeout s (journalctl -u $unit)"
    ;;
back)
    # What lies beside the data may be of an earlier time.
    if [ "$(cat "$swapped" 2>/dev/null)" = "$2" ]; then
        systemctl stop "$unit"
        as_etcd rm -rf -- "$data/member"
        [ ! -d "$data/before" ] || as_etcd mv -T -- "$data/before" "$data/member"
        rm -f -- "$swapped"
    fi
    as_etcd rm -rf -- "$restored"
    systemctl start --no-block "$unit"
    ;;
esac
