"""One virtual machine: what is wanted of it, where it is, and what VirtualBox knows of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.nodes.vboxmanage.programs import ask, local


@dataclass(frozen=True)
class Machine:
    """What is wanted."""

    name: str
    node: str
    setting: str
    """Path of its own settings in the stack file."""
    directory: str
    network: str
    mac: str
    memory: int
    """MB."""
    cpus: int
    disk: int
    """MB."""
    iso: str
    sha256: str
    drive: str
    """File of its configuration drive."""
    replace: bool
    """Its disk may be lost."""
    port: int
    """Forwarded from the deploy host to its sshd."""
    seconds: int
    """How long its start may take."""
    config: str
    """Digest of the configuration that it is installed with."""
    host_key: str

    @property
    def folder(self) -> Path:
        """Of all machines."""
        return local(self.directory)

    @property
    def disk_file(self) -> Path:
        return self.folder / f"{self.name}.vdi"

    @property
    def note(self) -> str:
        """Beside the disk: `empty` when Berth made it and nothing is installed, `installed DIGEST` afterwards."""
        return self._note_file.read_text(encoding="utf-8").strip() if self._note_file.exists() else ""

    def write_note(self, text: str) -> None:
        """Put a note there as a whole, or take it away where there is no text."""
        if not text:
            self._note_file.unlink(missing_ok=True)
            return
        new = self.folder / f"{self.name}.note.new"
        new.write_text(f"{text}\n", encoding="utf-8")
        new.replace(self._note_file)

    @property
    def _note_file(self) -> Path:
        return self.folder / f"{self.name}.note"

    @property
    def is_installed(self) -> bool:
        return self.note.startswith("installed ")

    @property
    def may_be_lost(self) -> bool:
        return self.replace or self.note == "empty"

    def facts(self) -> Mapping[str, str]:
        """VirtualBox's description, in the words of its `showvminfo`; nothing where there is no such machine."""
        text = ask("VBoxManage", "showvminfo", self.name, "--machinereadable").replace('"', "")
        return dict(re.findall(r"^([^=\n]+)=(.*)$", text, re.MULTILINE))
