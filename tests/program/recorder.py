"""Runs the whole program in this process and keeps what it registered, options included."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import yaml
from pulumi.runtime import settings, stack

from operations.pulumi.values import opened, read
from plugins import recorder
from plugins.interface import Properties
from plugins.values import from_struct

ROOT = Path(__file__).resolve().parents[2]


class Registered(recorder.Registered):
    """One resource as the program asked for it."""

    @property
    def open(self) -> dict[str, Any]:
        """The inputs without marks of secrecy."""
        return {key: opened(read(value)) for key, value in self.inputs.items()}


@dataclass
class Recording:
    """Everything that one run of the program registered."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, type_: str) -> list[Registered]:
        """The resources of one type, in the order of registration."""
        return [resource for resource in self.resources if resource.type == type_]

    def named(self, name: str) -> Registered:
        """The one resource with this name; fails with the list of names."""
        found = [resource for resource in self.resources if resource.name == name]
        assert len(found) == 1, f"{name}: {sorted(resource.name for resource in self.resources)}"
        return found[0]


class _Monitor(recorder.Recorder):
    def outcome(self, request: Any, urn: str) -> tuple[str, Properties]:
        """What providers would add: only what the program reads."""
        name = request.name
        made = {
            "tls:index/privateKey:PrivateKey": {
                "privateKeyPem": "KEY PEM\n",
                "privateKeyOpenssh": "KEY OPENSSH\n",
                "publicKeyOpenssh": f"ssh-ed25519 AAAA{name}\n",
            },
            "tls:index/selfSignedCert:SelfSignedCert": {"certPem": f"{name} PEM\n"},
            "tls:index/certRequest:CertRequest": {"certRequestPem": "REQUEST PEM\n"},
            "tls:index/locallySignedCert:LocallySignedCert": {"certPem": f"{name} PEM\n"},
            "random:index/randomPassword:RandomPassword": {"result": f"secret-of-{name}"},
            # What a swarm's managers print.
            "command:remote:Command": {"stdout": f"token\tmanager\tsecret-of-{name}\n"},
            "random:index/randomId:RandomId": {"b64Std": "AAECAwQFBgcICQoLDA0ODw=="},
        }.get(request.type, {})
        return f"{name}-id", {**from_struct(request.object), **made}


def run_program(stack_name: str, document: dict[str, Any] | None = None, *, preview: bool = False) -> Recording:
    """Runs `__main__.py` for one stack file (or a changed copy of it) and returns what it registered."""
    known = document or yaml.safe_load((ROOT / f"Pulumi.{stack_name}.yaml").read_text(encoding="utf-8"))
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in known["config"].items()}
    monitor = _Monitor()
    # An image lock of its own, so that what this machine has built makes no difference.
    with patch.dict(os.environ, BERTH_HOME=str(Path(__file__).parent / "home")):
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        pulumi.runtime.set_all_config(config)
        # No root yet: run_in_stack makes it, and with it the stack's outputs.
        settings.configure(
            settings.Settings(
                project="berth",
                stack=stack_name,
                monitor=monitor,
                engine=recorder.Messages(),
                dry_run=preview,
            )
        )
        settings.set_root_resource(None)
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        try:
            loop.run_until_complete(
                stack.run_in_stack(lambda: (runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__"), None)[1])
            )
        finally:
            loop.close()
    return Recording([Registered(**vars(one)) for one in monitor.registered], monitor.outputs)
