"""What a Docker client needs to use the registry: name, CA, users."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.accounts.render import MAY
from config import naming
from config.model.stack import Settings
from operations.workspace import Workspace, write_private

ACCESS = ("push", "pull", "admin")
"""In the order in which they are shown."""


@dataclass(frozen=True)
class User:
    """A user of the registry; no password where secrets are not shown."""

    username: str
    password: str | None

    @property
    def basic(self) -> str:
        """Name and password as HTTP's basic authentication and Docker's file of logins write them."""
        return base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()

    def log_in(self, registry: str, directory: Path) -> None:
        """Make a directory for `docker --config` know the user: Docker's own format, without its warning about it."""
        write_private(directory / "config.json", json.dumps({"auths": {registry: {"auth": self.basic}}}))


@dataclass(frozen=True)
class Endpoint:
    """The registry as its clients see it."""

    registry: str
    ca_file: str
    users: dict[str, User | None]

    def as_json(self) -> dict[str, Any]:
        users = {
            word: user and {"username": user.username, "password": user.password} for word, user in self.users.items()
        }
        return {"registry": self.registry, "ca_file": self.ca_file, "users": users}

    def commands(self) -> list[str]:
        """The three commands that use the registry."""
        user = self.users["push"] or self.users["pull"]
        name = user.username if user else "USER"
        return [
            f"docker login --username {name} {self.registry}",
            f"docker push {self.registry}/NAME:TAG",
            f"docker pull {self.registry}/NAME:TAG",
        ]


def endpoint(workspace: Workspace, stack: str, outputs: Mapping[str, Any], show_secrets: bool) -> Endpoint:
    """Read the endpoint from the stack's outputs (which must hold the secrets, whether or not they are shown)."""
    known: Mapping[str, Mapping[str, str]] = outputs.get("registry_users") or {}
    users = _users(known, show_secrets)
    return Endpoint(str(outputs["registry"]), str(workspace.stack_dir(stack) / "ca.pem"), users)


def expected_endpoint(workspace: Workspace, settings: Settings) -> Endpoint:
    """The endpoint as the settings have it, without asking the state (and without passwords)."""
    known = {user.name: {"role": user.role} for user in settings.registry.users}
    users = _users(known, show_secrets=False)
    registry = naming.endpoint(settings.registry.name, settings.registry.port)
    return Endpoint(registry, str(workspace.stack_dir(settings.stack) / "ca.pem"), users)


def _users(known: Mapping[str, Mapping[str, str]], show_secrets: bool) -> dict[str, User | None]:
    """A user for each thing to do; admin only where there is one, for a registry needs none."""
    found = {access: _first(known, MAY[access], show_secrets) for access in ACCESS}
    return {word: user for word, user in found.items() if user or word != "admin"}


def _first(known: Mapping[str, Mapping[str, str]], roles: tuple[str, ...], show_secrets: bool) -> User | None:
    """The first user of the least role that is enough."""
    for role in roles:
        for name, entry in known.items():
            if entry.get("role") == role:
                return User(name, entry.get("password") if show_secrets else None)
    return None
