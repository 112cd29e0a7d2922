"""A Debian with the real VirtualBox, kept in Berth's cache; every command in it has namespaces of its own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from config import paths
from operations.host import mirrors

# Before any test sets another home.
ROOT = paths.home().resolve() / "cache" / "virtualbox"
# VirtualBox is in no stable Debian.
SUITE, COMPONENTS, PACKAGES = "sid", ("main", "contrib"), ("virtualbox", "xorriso", "python3")
# Mounts and processes (VirtualBox's server among them) end with the command.
ENTER = """
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind "$BERTH_FOLDER" "$root/mnt"
chroot "$root" "$@" || exit $?
"""
# No kernel driver, no start: whether a machine runs is a file.
VBOXMANAGE = """#!/bin/sh
real=/usr/bin/VBoxManage
case $1 in
startvm) touch "$HOME/running.$2" ;;
controlvm) rm -f "$HOME/running.$2" ;;
showvminfo)
    said=$($real "$@") || exit
    if [ -e "$HOME/running.$2" ]; then
        said=$(printf '%s\\n' "$said" | sed 's/^VMState=.*/VMState="running"/')
    fi
    printf '%s\\n' "$said"
    exit ;;
--version | showmediuminfo) exec $real "$@" ;;
natnetwork) if [ "$2" = list ]; then exec $real "$@"; else $real "$@" || exit; fi ;;
*) $real "$@" || exit ;;
esac
echo "$@" >>"$HOME/commands"
[ -z "${KILL-}" ] || kill -9 -1
"""


def enter(
    words: Sequence[str], *, stdin: str = "", folder: Path = paths.ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command in the chroot, where `folder` is /mnt."""
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter", ROOT, *words],
        input=stdin,
        env={
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "BERTH_FOLDER": str(folder),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def make() -> None:
    """Two minutes and 1.1 GB, once: the same mirror, keyring and proxies as everything that Berth builds."""
    done = ROOT / "complete"
    if done.exists():
        return
    ROOT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        given = mirrors.write(Path(folder) / "settings")
        words = ["debootstrap", "--variant=minbase", f"--components={','.join(COMPONENTS)}", *given.debootstrap]
        made = subprocess.run(
            [*words, SUITE, ROOT, given.mirror.main.uri],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **given.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout[-2000:]
        option = "trusted=yes" if given.mirror.trusted else f"signed-by={mirrors.MOUNT}/keyring.gpg"
        source = f"deb [{option}] {given.mirror.main.uri} {SUITE} {' '.join(COMPONENTS)}\n"
        (ROOT / "etc" / "apt" / "sources.list").write_text(source)
        environment = {
            **given.environment,
            "APT_CONFIG": f"{mirrors.MOUNT}/apt.conf",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        own = ["-o", "Dir::Etc::sourcelist=/etc/apt/sources.list"]
        for words in (["update"], ["install", "--yes", "--quiet", *PACKAGES]):
            ran = enter(["apt-get", *own, *words], folder=given.folder, environment=environment)
            assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    for name, text in (("VBoxManage", VBOXMANAGE), ("ssh-keyscan", '#!/bin/sh\ncat "$HOME/shown"\n')):
        program = ROOT / "usr" / "local" / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    done.touch()
