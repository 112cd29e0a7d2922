"""The six items for pyinfra; it runs this with its own interpreter."""

import json
from pathlib import Path

from pyinfra.operations import files, server  # type: ignore[import-not-found]

HERE = Path.cwd()
BENCH = json.loads((HERE / "bench.json").read_text())

for name, path in BENCH["files"].items():
    files.put(src=str(HERE / "desired" / name), dest=path, mode="644", user="root", group="root")
files.block(
    path=BENCH["block"],
    content=(HERE / "desired/hosts.block").read_text().removesuffix("\n"),
    marker="# {mark} berth bench",
)
server.shell(commands=[(HERE / "package.sh").read_text().strip()])
server.shell(commands=[(HERE / "service.sh").read_text().strip()])
