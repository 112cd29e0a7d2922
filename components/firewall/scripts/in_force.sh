# Whether Berth's table is in the kernel as its file says; for the stage's own script and for the probe.
table_file=/etc/berth/firewall/table.nft
firewall_unit=berth-firewall.service

# What sets learn while the table is in force is not part of it.
without_elements() { awk '/elements = \{/ { inside = 1 } !inside { print } /\}/ { inside = 0 }'; }

table_there() { nft -s list table inet berth 2>/dev/null | without_elements; }

# The same file, read by the same nft, in a network of its own that nobody is in.
# shellcheck disable=SC2016  # the inner shell expands it
table_as_written() { unshare --net sh -c 'nft -f "$1" && nft -s list table inet berth' sh "$table_file" 2>/dev/null | without_elements; }

firewall_state() {
    there=$(table_there)
    written=$(table_as_written)
    if [ -z "$there" ]; then
        printf missing
    elif [ -z "$written" ]; then
        printf 'unreadable'
    elif [ "$there" != "$written" ]; then
        printf altered
    elif ! systemctl is-enabled --quiet "$firewall_unit" 2>/dev/null; then
        printf 'not loaded at boot'
    else
        printf 'in force'
    fi
}
