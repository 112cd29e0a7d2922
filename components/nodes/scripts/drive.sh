# The configuration drive: a small ISO from which the live system reads the text on standard input at its start.
#   apply FILE | remove FILE
file=$2
case $file in \~/*) file=$HOME/${file#\~/} ;; esac
if [ "$1" = remove ]; then
    rm -f "$file"
    exit 0
fi
for maker in 'xorriso -as mkisofs' genisoimage mkisofs ''; do
    [ -z "$maker" ] || ! command -v "${maker%% *}" >/dev/null 2>&1 || break
done
[ -n "$maker" ] ||
    fail 'no program that writes an ISO is on this machine; install xorriso or genisoimage, then run again'
# It holds the machine's host key.
umask 077
mkdir -p "$(dirname "$file")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/openstack/latest"
cat >"$work/openstack/latest/user_data"
# shellcheck disable=SC2086 # a program and its first words
$maker -quiet -V config-2 -J -r -o "$file.new" "$work"
mv "$file.new" "$file"
