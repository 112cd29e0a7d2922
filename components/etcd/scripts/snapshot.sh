# Prints a snapshot of what the cluster holds, after members.sh.
directory=$(mktemp -d /var/tmp/berth-etcd-XXXXXX)
trap 'rm -rf -- "$directory"' EXIT
file=$directory/snapshot
answers "$client" || fail "etcd on $name is not healthy"
at "$client" snapshot save "$file" >/dev/null 2>&1 || fail "etcd on $name makes no snapshot"
"$offline" snapshot status "$file" >/dev/null 2>&1 || fail "the snapshot that etcd on $name made is damaged"
cat -- "$file"
