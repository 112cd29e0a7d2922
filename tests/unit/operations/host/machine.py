"""A deploy host of a test's own: its programs on PATH, the images of its Docker and its run-time directory."""

from __future__ import annotations

import json
from pathlib import Path

import images
from operations.host import debian

DIGEST = "sha256:" + "ab" * 32
DOCKER = """\
PATH=/usr/bin:/bin
cd {images}
case "$1 $2" in
"version "*) cat ../server ;;
"image inspect")
	shift 2
	for reference; do
		[ -f "$(echo "$reference" | tr / ,)" ] || missing=1
	done
	for reference; do
		cat "$(echo "$reference" | tr / ,)" 2>/dev/null && echo ,
	done | sed '1s/^/[/; $s/,$/]/'
	exit ${{missing:-0}}
	;;
"images "*) grep -l "${{5#label=}}" -- * | sed 's/.*/sha256:&/' ;;
"rmi "*)
	[ ! -f ../used ] || {{ cat ../used >&2; exit 1; }}
	rm -- "${{3#sha256:}}"
	;;
*) exit 1 ;;
esac
"""
APT_GET = """\
PATH=/usr/bin:/bin
[ ! -f {clusters} ] || echo 'no server at the start' >>{home}/apt
case $* in *install*) echo "$*" >>{home}/apt; printf '#!/bin/sh\\n' >{bin}/ssh; chmod +x {bin}/ssh ;; esac
"""


class Machine:
    """Everything is there and current; a test takes away from it."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.clusters = folder / "bin", folder / "home", folder / "clusters"
        self._images = folder / "images"
        for made in (self.bin, self.home, self._images):
            made.mkdir()
        for name in ("dockerd", "ssh", "debootstrap"):
            self.program(name)
        self.program("go", "echo go1.27.0")
        self.program("docker", DOCKER.format(images=self._images))
        self.program("apt-get", APT_GET.format(home=self.home, bin=self.bin, clusters=self.clusters))
        self.runs_docker("26.1.5")
        for name in images.NAMES:
            self.has_image(images.reference(name))
        self.has_image(debian.base_reference())
        self.store()

    def program(self, name: str, body: str = "") -> None:
        """A program on PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def lacks(self, *programs: str) -> None:
        """These are not installed."""
        for name in programs:
            (self.bin / name).unlink()

    def runs_docker(self, version: str) -> None:
        """The version of the daemon, which is stopped without one."""
        server = self._images.parent / "server"
        server.unlink(missing_ok=True)
        if version:
            server.write_text(f"{version}\n")

    def _file(self, reference: str) -> Path:
        return self._images / reference.replace("/", ",")

    def has_image(self, reference: str, label: str = "berth.image") -> None:
        """An image of Docker's, identified by its name."""
        found = {"Id": f"sha256:{reference}", "RepoTags": [reference], "Config": {"Labels": {label: reference}}}
        self._file(reference).write_text(json.dumps(found))

    def loses_image(self, reference: str) -> None:
        """Docker has it no more."""
        self._file(reference).unlink()

    def uses_images(self, complaint: str) -> None:
        """Docker removes none, and says so."""
        (self._images.parent / "used").write_text(complaint)

    @property
    def docker_images(self) -> set[str]:
        """The names of all images."""
        return {path.name.replace(",", "/") for path in self._images.iterdir()}

    def store(self) -> None:
        """Lock and storage of the seed registry, with these images in them."""
        lock: dict[str, dict[str, str]] = {}
        for name in images.NAMES:
            reference = images.reference(name)
            lock[name] = {"reference": reference, "id": f"sha256:{reference}", "version": "1"}
            if name in images.SERVICES:
                lock[name]["digest"] = DIGEST
                repository = self.home / "seed/docker/registry/v2/repositories/berth" / name
                link = repository / "_manifests/revisions/sha256" / ("ab" * 32) / "link"
                link.parent.mkdir(parents=True)
                link.write_text(DIGEST, encoding="utf-8")
        (self.home / "images.json").write_text(json.dumps(lock), encoding="utf-8")

    def apt(self) -> str:
        """What apt-get was to install."""
        log = self.home / "apt"
        return log.read_text() if log.exists() else ""
