#!/bin/sh
# The drive of a lab node's MinIO server, put out of order and back.   drive.sh full|back|wipe|healed DIRECTORY CONTAINER
# The node's volume lies on the deploy host's disk, which must never fill: a full drive is a copy of it in memory.
set -eu
what=$1 directory=$2 container=$3
copy=/run/berth-drill-drive
most_mib=2048

on_copy() { [ "$(stat --file-system --format %T "$directory")" = tmpfs ]; }

full() {
    used=$(du -sm "$directory" | cut -f 1)
    if [ "$used" -gt "$most_mib" ]; then
        echo "$directory holds $used MiB: more than $most_mib MiB are not copied into memory." >&2
        exit 1
    fi
    docker stop --time 5 "$container" >/dev/null
    mkdir -p "$copy"
    mount -t tmpfs -o "size=$((used + 64))m,mode=0700" berth-drill "$copy"
    chown --reference="$directory" "$copy"
    cp -a "$directory/." "$copy/"
    mount --bind "$copy" "$directory"
    docker start "$container" >/dev/null
    # The server takes its drive first, which then fills to the last byte.
    sleep 3
    dd if=/dev/zero of="$directory/.berth-drill-ballast" bs=1M 2>/dev/null || true
    # It asks for the room on its drive about once a second.
    sleep 2
}

back() {
    if on_copy || [ -d "$copy" ]; then
        docker stop --time 5 "$container" >/dev/null
        while on_copy; do umount "$directory"; done
        ! mountpoint -q "$copy" || umount "$copy"
        [ ! -d "$copy" ] || rmdir "$copy"
    fi
    docker start "$container" >/dev/null
}

case $what in
full) full ;;
back) back ;;
# The server goes on writing meanwhile, so that a directory may not be empty when its turn comes.
wipe) find "$directory" -mindepth 1 -delete 2>/dev/null || true ;;
healed)
    # The server's own notes about its healing, in which "Finished" becomes true.
    LC_ALL=C grep -q "Finished$(printf '\303')" "$directory/.minio.sys/buckets/.healing.bin" 2>/dev/null || {
        echo "the drive is not healed yet" >&2
        exit 1
    }
    ;;
esac
