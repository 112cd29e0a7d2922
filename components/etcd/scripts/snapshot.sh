# Prints a snapshot of what the cluster holds, after members.sh.
directory=$(mktemp -d /var/tmp/berth-etcd-XXXXXX)
trap 'rm -rf -- "$directory"' EXIT
file=$directory/snapshot
answers "$own_client" || fail "etcd on $own_name is not healthy"
at "$own_client" snapshot save "$file" >/dev/null 2>&1 || fail "etcd on $own_name makes no snapshot"
"$offline" snapshot status "$file" >/dev/null 2>&1 || fail "the snapshot that etcd on $own_name made is damaged"
cat -- "$file"
