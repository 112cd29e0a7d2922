"""The language host: runs the program in a process of its own, and providers in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as pb
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

Instance = Callable[[str, str, Callable[[Callable[[], None]], bool]], Iterator[str | int]]
"""Runs a provider instance; see `plugins.host.Instances.run`."""

EXPLAINED = 32
"""Exit code of a program that has told the user why it failed; the CLI's own launcher uses the same."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Python programs and Berth's providers; nothing is generated, installed or converted here."""

    def __init__(self, engine: str, instance: Instance) -> None:
        self._engine = engine
        self._instance = instance

    def Handshake(self, request: pb.LanguageHandshakeRequest, context: grpc.ServicerContext) -> Any:
        return pb.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: pb.GetRequiredPackagesRequest, context: grpc.ServicerContext) -> Any:
        """None: every plugin is here already, and the CLI would look for others to download."""
        return pb.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: pb.GetRequiredPluginsRequest, context: grpc.ServicerContext) -> Any:
        return pb.GetRequiredPluginsResponse()

    def GetProgramDependencies(self, request: pb.GetProgramDependenciesRequest, context: grpc.ServicerContext) -> Any:
        return pb.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, request: pb.RuntimeOptionsRequest, context: grpc.ServicerContext) -> Any:
        return pb.RuntimeOptionsResponse()

    def InstallDependencies(self, request: pb.InstallDependenciesRequest, context: grpc.ServicerContext) -> Any:
        """Nothing: `berth` made the environment, from a lock file."""
        return iter(())

    def About(self, request: pb.AboutRequest, context: grpc.ServicerContext) -> Any:
        return pb.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        """The program ends by itself once the engine answers no more."""
        return empty_pb2.Empty()

    def Run(self, request: pb.RunRequest, context: grpc.ServicerContext) -> Any:
        """Run the program; its job holds secrets and is passed on standard input."""
        folder = request.info.program_directory or request.pwd or str(Path.cwd())
        job = {
            "folder": folder,
            "entry": request.info.entry_point or request.program or ".",
            "root": request.info.root_directory or folder,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization or "organization",
            "monitor": request.monitor_address,
            "engine": self._engine,
            "parallel": request.parallel,
            "preview": request.dryRun,
            "config": dict(request.config),
            "secrets": list(request.configSecretKeys),
        }
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "plugins.program"], stdin=subprocess.PIPE, cwd=folder, env=os.environ
        ) as program:
            assert program.stdin is not None
            context.add_callback(program.terminate)
            try:
                # Standard input stays open: its end tells the program that this process is gone.
                program.stdin.write(json.dumps(job).encode() + b"\n")
                program.stdin.flush()
            except BrokenPipeError:
                pass
            status = program.wait()
        if status in (0, EXPLAINED):
            return pb.RunResponse(bail=status == EXPLAINED)
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit code {status}"
        return pb.RunResponse(error=f"the program {how}")

    def RunPlugin(self, request: pb.RunPluginRequest, context: grpc.ServicerContext) -> Any:
        """Serve a provider instance for as long as the CLI holds this call."""
        options = request.info.options.fields
        package, own_version = options["package"].string_value, options["version"].string_value
        try:
            for output in self._instance(package, own_version, context.add_callback):
                if isinstance(output, int):
                    yield pb.RunPluginResponse(stdout=f"{output}\n".encode())
                else:
                    yield pb.RunPluginResponse(stderr=output.encode())
        except LookupError as error:
            yield pb.RunPluginResponse(stderr=f"{error}\n".encode())
            yield pb.RunPluginResponse(exitcode=1)
