"""Berth's plugin host as Pulumi's CLI starts it, and short ways to call the providers that it serves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from operations.pulumi.cli import plugin_versions
from plugins import home
from plugins.host import MESSAGE_LIMIT
from plugins.values import from_struct, to_struct
from tests.plugins.providers.conftest import daemon, server, tiny_image
from tests.plugins.providers.test_minio import address

__all__ = ["address", "daemon", "server", "tiny_image"]

OPTIONS = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]
SDK = "3.272.0"


class Host:
    """The process, with the pipe that keeps it alive."""

    def __init__(self, folder: Path) -> None:
        program = folder / "plugins" / f"language-python-v{SDK}" / "pulumi-language-python"
        self.process = subprocess.Popen(
            [program, "127.0.0.1:1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.process.stdout.readline().strip()}", OPTIONS)
        self.language = language_pb2_grpc.LanguageRuntimeStub(self.channel)

    @contextmanager
    def instance(self, package: str, **config: Any) -> Iterator[Instance]:
        """A provider instance with these settings, as long as the block lasts."""
        told = language_pb2.ProgramInfo(options=to_struct({"package": package, "version": "1.2.3"}))
        stream = self.language.RunPlugin(language_pb2.RunPluginRequest(info=told, kind="resource"))
        port = int(next(stream).stdout)
        with grpc.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel:
            instance = Instance(provider_pb2_grpc.ResourceProviderStub(channel))
            instance.configure(**config)
            yield instance
        stream.cancel()

    def end(self) -> None:
        """Close the pipe, as the CLI's end does, and wait."""
        self.channel.close()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Instance:
    """One provider instance; properties are plain data with `Secret` and `UNKNOWN` in it."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def configure(self, **config: Any) -> Any:
        return self.stub.Configure(pb.ConfigureRequest(args=to_struct(config), acceptSecrets=True))

    def check(self, type_: str, name: str, olds: dict[str, Any] | None = None, /, **news: Any) -> Any:
        """The answer as it is: inputs and failures."""
        return self.stub.Check(pb.CheckRequest(urn=urn(type_, name), olds=to_struct(olds or {}), news=to_struct(news)))

    def checked(self, type_: str, name: str, /, **news: Any) -> dict[str, Any]:
        answer = self.check(type_, name, **news)
        assert not answer.failures, answer.failures
        return from_struct(answer.inputs)

    def preview(self, type_: str, name: str, /, **news: Any) -> dict[str, Any]:
        """What a preview says of a resource to be made."""
        inputs = to_struct(self.checked(type_, name, **news))
        request = pb.CreateRequest(urn=urn(type_, name), properties=inputs, preview=True)
        return from_struct(self.stub.Create(request).properties)

    def make(self, type_: str, name: str, /, **news: Any) -> Made:
        inputs = self.checked(type_, name, **news)
        made = self.stub.Create(pb.CreateRequest(urn=urn(type_, name), properties=to_struct(inputs)))
        return Made(self, urn(type_, name), made.id, inputs, from_struct(made.properties))


class Made:
    """A resource that a provider made, as the state would keep it."""

    def __init__(self, by: Instance, urn: str, id_: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        self._by = by
        self.urn, self.id, self.inputs, self.outputs = urn, id_, inputs, outputs

    def _known(self) -> dict[str, Any]:
        return {"urn": self.urn, "id": self.id, "old_inputs": to_struct(self.inputs), "olds": to_struct(self.outputs)}

    def diff(self, **changes: Any) -> Any:
        """What the provider says to other inputs; None takes one away."""
        return self._by.stub.Diff(pb.DiffRequest(**self._known(), news=self._news(changes)))

    def update(self, preview: bool = False, **changes: Any) -> dict[str, Any]:
        news = self._news(changes)
        answer = self._by.stub.Update(pb.UpdateRequest(**self._known(), news=news, preview=preview))
        outputs = from_struct(answer.properties)
        if not preview:
            self.inputs, self.outputs = from_struct(news), outputs
        return outputs

    def read(self) -> Any:
        known = {"urn": self.urn, "id": self.id, "inputs": to_struct(self.inputs)}
        return self._by.stub.Read(pb.ReadRequest(**known, properties=to_struct(self.outputs)))

    def delete(self) -> None:
        known = {"urn": self.urn, "id": self.id, "old_inputs": to_struct(self.inputs)}
        self._by.stub.Delete(pb.DeleteRequest(**known, properties=to_struct(self.outputs)))

    def _news(self, changes: dict[str, Any]) -> Struct:
        return to_struct({key: value for key, value in {**self.inputs, **changes}.items() if value is not None})


def urn(type_: str, name: str) -> str:
    """The URN of a resource of a component of some stack."""
    return f"urn:pulumi:dev::project::berth:some:Component${type_}::{name}"


def refused(call: Callable[[], Any]) -> str:
    """The text of the error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(caught.value.details())


@pytest.fixture(scope="session")
def plugin_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `PULUMI_HOME` with Berth's plugins."""
    folder = tmp_path_factory.mktemp("pulumi-home")
    home.write(folder, plugin_versions(), SDK)
    return folder


@pytest.fixture
def own_host(plugin_home: Path) -> Iterator[Host]:
    """A host for one test, which may do what it likes with it."""
    host = Host(plugin_home)
    yield host
    if host.process.poll() is None:
        host.end()


@pytest.fixture(scope="session")
def host(plugin_home: Path) -> Iterator[Host]:
    """A host for all tests that leave it as it is."""
    host = Host(plugin_home)
    yield host
    host.end()


@pytest.fixture
def instance(host: Host) -> Iterator[Callable[..., Instance]]:
    """Provider instances by package and settings."""
    opened = []

    def open_(package: str, **config: Any) -> Instance:
        opened.append(host.instance(package, **config))
        return opened[-1].__enter__()

    yield open_
    for one in opened:
        one.__exit__(None, None, None)
