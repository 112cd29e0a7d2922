"""OpenStack Kolla as resources: nodes prepared, then kolla-ansible's steps in their order."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command as command
import pulumi_random as random

import images
from components.kolla import node as nodes
from components.kolla import render
from components.kolla.args import KollaArgs
from components.kolla.overrides import read_overrides
from components.kolla.passwords import password
from components.lib.host_files.host_state import host_state
from config import naming, paths
from config.model.stack import Settings

SCRIPTS = (Path(__file__).parent / "scripts" / "node.sh",)
STEPS = ("images", "prechecks", "pull", "deploy", "verify")
"""In their order. `deploy` is `reconfigure` or `upgrade` where there is something already."""
REFUSAL = "berth:kolla.allowDestroy is false: set it to true and run `./berth up` to let Kolla's services go"


class Kolla(pulumi.ComponentResource):
    """Kolla on the nodes that have its roles; nothing where it is not enabled."""

    access: pulumi.Output[dict[str, Any]] | dict[str, Any]
    """Where OpenStack answers, and its administrator's password; secret. Empty without Kolla."""

    def __init__(self, name: str, args: KollaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:kolla:Kolla", name, None, opts)
        self.access = {}
        if args.settings.kolla.enabled:
            self._deploy(name, args)
        self.register_outputs({})

    def _deploy(self, name: str, args: KollaArgs) -> None:
        settings = args.settings
        made = random.RandomPassword(
            f"{name}-passwords",
            length=64,
            special=False,
            # Databases and messages outlive the services: without their passwords they are lost.
            opts=pulumi.ResourceOptions(parent=self, protect=settings.lab is None or None),
        )
        self.access = pulumi.Output.secret(made.result.apply(lambda secret: _access(settings, secret)))
        before: list[pulumi.Resource] = [*args.serving]
        own = [on for on in args.daemons.on(args.nodes.all) if on.node.name in render.members(settings)]
        prepared = [
            host_state(
                f"{name}-{on.node.name}",
                stack=settings.stack,
                stage=nodes.STAGE,
                node=on.node,
                entries=nodes.entries(settings, on.node.settings),
                scripts=SCRIPTS,
                opts=on.node.options(self, on.ready),
            )
            for on in own
        ]
        before += prepared
        # The root of the checkout, from which engines run the program.
        wanted = render.document(settings, read_overrides(Path.cwd(), settings.kolla.overrides))
        user = settings.registry.node_user
        login = args.accounts.account(user).password if user else ""
        stdin = pulumi.Output.all(made.result, login, args.authority.certificate).apply(partial(_inputs, args, wanted))
        # No shell in between, here and below: a command ends when what has started it is gone.
        program = f"exec ./berth kolla {{}} --stack {settings.stack}"
        allowed, refuse = settings.kolla.allow_destroy, f"echo {shlex.quote(REFUSAL)} >&2; exit 1"
        # Does nothing until it is destroyed, which is after the steps and before the nodes' preparation.
        destroy = program.format("step destroy") if allowed else refuse
        before.append(self._command(f"{name}-teardown", args, "true", before, delete=destroy, stdin=stdin))
        # In plain view, for the preview: the standard input is secret as a whole.
        shown: dict[str, pulumi.Input[str]] = {**render.shown(wanted)}
        machines = {on.node.name: on.node.machine.id for on in own if on.node.machine}
        if machines:
            # A machine that was made anew has lost its containers.
            shown["KOLLA_MACHINES"] = pulumi.Output.json_dumps(machines)
        brought = paths.kolla_brought_file(settings.stack)
        if brought.is_file():
            shown["KOLLA_BROUGHT"] = brought.read_text(encoding="utf-8")
        steps = [(step, f"step {step}", stdin) for step in STEPS]
        if settings.kolla.images.source == "built":
            shown["KOLLA_RECIPES"] = images.kolla_hash()
            steps.insert(0, ("push", "push", _push(args)))
        for step, verb, given in steps:
            create = program.format(verb)
            before = [self._command(f"{name}-{step}", args, create, before, stdin=given, environment=shown)]
        # The last to be created is the first to go: where it may not, nothing else has gone yet.
        self._command(f"{name}-guard", args, "true", before, delete="true" if allowed else refuse)

    def _command(
        self, name: str, args: KollaArgs, create: str, before: Sequence[pulumi.Resource], **more: Any
    ) -> pulumi.Resource:
        """A command on the deploy host; one that only ends something goes with the machine that it ends it on."""
        gone = args.nodes.with_role("control")[0].machine if "delete" in more else None
        return command.local.Command(
            name,
            create=create,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before), deleted_with=gone),
            **more,
        )


def _push(args: KollaArgs) -> pulumi.Output[str]:
    """What `berth kolla push` reads."""
    account = next(account for account in args.accounts.all if account.role in ("push", "admin"))
    registry = naming.endpoint(args.settings.registry.name, args.settings.registry.port)
    return pulumi.Output.all(account.password, args.authority.certificate).apply(
        lambda two: json.dumps({"registry": registry, "username": account.name, "password": two[0], "ca": two[1]})
    )


def _inputs(args: KollaArgs, document: dict[str, Any], secrets: list[str]) -> str:
    """What a step reads, as `operations.kolla.steps.from_stdin` wants it."""
    own, registry, ca = secrets
    known_hosts = str(paths.known_hosts_file(args.settings.stack))
    access = {
        node.name: render.ansible_ssh_vars(
            node.access.host, node.access.port, node.access.user, node.key_file, known_hosts
        )
        for node in args.nodes.all
    }
    given = {"docker_registry_password": registry} if registry else {}
    return json.dumps({"document": document, "access": access, "secret": own, "ca": ca, "given": given}, sort_keys=True)


def _access(settings: Settings, secret: str) -> dict[str, Any]:
    return {
        "secret": secret,
        "address": settings.kolla.internal_address,
        "user": "admin",
        "password": password(secret, "keystone_admin_password"),
    }
