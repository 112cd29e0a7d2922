#!/bin/sh
# Pulumi's CLI starts a program of this name as language host. The interpreter and the checkout are named beside it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
python=$(cat -- "$here/interpreter")
root=$(cat -- "$here/checkout")
if ! [ -x "$python" ] || ! [ -f "$root/plugins/__main__.py" ]; then
	printf "Berth's plugins were set up for %s with %s, and one of them is gone: run ./berth up again.\n" "$root" "$python" >&2
	exit 1
fi
: "${PYTHONPYCACHEPREFIX:=$here/pycache}"
PYTHONPATH=$root
export PYTHONPATH PYTHONPYCACHEPREFIX
# -P: a folder of the project that is deployed must not stand in for one of Berth's.
exec "$python" -P -m plugins "$@"
