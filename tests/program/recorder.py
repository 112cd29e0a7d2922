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
from pulumi.runtime import mocks, rpc, settings, stack

from operations.preview.values import opened, read

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Registered:
    """One resource as the program asked for it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    dependencies: tuple[str, ...]
    deleted_with: str
    provider: str
    secrets: tuple[str, ...]

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


class _Outputs(pulumi.runtime.Mocks):
    """What providers would add: only what the program reads."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        made = {
            "tls:index/privateKey:PrivateKey": {
                "privateKeyPem": "KEY PEM\n",
                "privateKeyOpenssh": "KEY OPENSSH\n",
                "publicKeyOpenssh": f"ssh-ed25519 AAAA{args.name}\n",
            },
            "tls:index/selfSignedCert:SelfSignedCert": {"certPem": f"{args.name} PEM\n"},
            "tls:index/certRequest:CertRequest": {"certRequestPem": "REQUEST PEM\n"},
            "tls:index/locallySignedCert:LocallySignedCert": {"certPem": f"{args.name} PEM\n"},
            "random:index/randomPassword:RandomPassword": {"result": f"secret-of-{args.name}"},
            # What a swarm's managers print.
            "command:remote:Command": {"stdout": f"token\tmanager\tsecret-of-{args.name}\n"},
            "random:index/randomId:RandomId": {"b64Std": "AAECAwQFBgcICQoLDA0ODw=="},
        }.get(args.typ, {})
        return f"{args.name}-id", {**args.inputs, **made}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


class _Monitor(mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Outputs())
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:
        inputs = rpc.deserialize_properties(request.object)
        self._recording.resources.append(
            Registered(
                type=request.type,
                name=request.name,
                inputs=inputs,
                parent=request.parent,
                dependencies=tuple(request.dependencies),
                deleted_with=request.deletedWith,
                provider=request.provider,
                secrets=tuple(request.additionalSecretOutputs),
            )
        )
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if request.urn.endswith("::berth-" + settings.get_stack()) or "::pulumi:pulumi:Stack::" in request.urn:
            self._recording.outputs.update(rpc.deserialize_properties(request.outputs))
        return super().RegisterResourceOutputs(request)


def run_program(stack_name: str, document: dict[str, Any] | None = None, *, preview: bool = False) -> Recording:
    """Runs `__main__.py` for one stack file (or a changed copy of it) and returns what it registered."""
    known = document or yaml.safe_load((ROOT / f"Pulumi.{stack_name}.yaml").read_text(encoding="utf-8"))
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in known["config"].items()}
    recording = Recording()
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
                monitor=_Monitor(recording),
                engine=mocks.MockEngine(None),
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
    return recording
