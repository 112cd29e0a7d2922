"""A provider of Berth's behind Pulumi's provider protocol: one servicer for one configured instance."""

from __future__ import annotations

import functools
import json
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from plugins import marks, urns
from plugins.interface import Checked, Context, Diff, Package, Properties, Provider, ProviderError
from plugins.values import from_struct, has_unknown, plain, secret_texts, to_struct

LONGEST = 6000
"""Characters of an error: it travels in a header, which has a limit."""
_INTERNAL = ("__internal", "version", "pluginDownloadURL")

Method = TypeVar("Method", bound=Callable[..., Any])


def _answered(method: Method) -> Method:
    """Turn a failure into an answer of one sentence that holds no secret of the request."""

    @functools.wraps(method)
    def call(self: ProviderServer, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ProviderError as error:
            text = str(error)
        except Exception as error:
            self.note(_without_secrets(traceback.format_exc(), request))
            text = f"unexpected {type(error).__name__}: {error}"
        context.abort(grpc.StatusCode.UNKNOWN, _without_secrets(text, request)[:LONGEST])

    return call  # type: ignore[return-value]


class ProviderServer(ResourceProviderServicer):
    """One provider instance. Calls come on many threads at once and may take minutes."""

    def __init__(self, package: Package, version: str, note: Callable[[str], None], cancel: Callable[[], None]) -> None:
        self._package = package
        self._version = version
        self._provider: Provider | None = None
        self._unknown = False
        self._cancelled = threading.Event()
        self._cancel = cancel
        self.note = note
        """Takes what only somebody who looks into the CLI's debug log wants to read."""

    def close(self) -> None:
        """Let go of the instance's connections."""
        if self._provider is not None:
            self._provider.close()

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: grpc.ServicerContext) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: pb.GetSchemaRequest, context: grpc.ServicerContext) -> Any:
        """What these providers know, which is less than what the program's Python packages can say."""
        return pb.GetSchemaResponse(schema=json.dumps(self._package.schema(self._version)))

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        """Begin nothing more, and end what only waits.

        What is under way ends by itself: a node is not left in the middle of a change.
        """
        self._cancelled.set()
        self._cancel()
        return empty_pb2.Empty()

    @_answered
    def CheckConfig(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        news = {key: marks.compact(value) for key, value in from_struct(request.news).items()}
        return _checked(request, news, self._package.check_config(plain(news)))

    @_answered
    def DiffConfig(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        olds, news = from_struct(request.old_inputs or request.olds), from_struct(request.news)
        return _difference(self._package.diff_config(plain(olds), plain(news)), ())

    @_answered
    def Configure(self, request: pb.ConfigureRequest, context: grpc.ServicerContext) -> Any:
        config = {key: value for key, value in from_struct(request.args).items() if key not in _INTERNAL}
        self._unknown = has_unknown(config)
        if not self._unknown:
            self._provider = self._package.configure(plain(config))
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_answered
    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        provider, type_ = self._for(request.urn)
        news = from_struct(request.news)
        checked = provider.check(type_, request.urn, plain(from_struct(request.olds)) or None, plain(news))
        return _checked(request, news, checked)

    @_answered
    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        provider, type_ = self._for(request.urn)
        before, after = from_struct(request.old_inputs), from_struct(request.news)
        outputs = marks.outputs_of(request.olds)
        difference = provider.diff(type_, request.id, plain(before), plain(outputs), plain(after))
        return _difference(difference, marks.secrecy_changes(before, after))

    @_answered
    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> Any:
        provider, type_ = self._begin(request.urn)
        inputs = from_struct(request.properties)
        made = provider.create(type_, plain(inputs), _surroundings(request, request.preview))
        outputs = marks.sealed(made.outputs, inputs, provider.secret_outputs(type_))
        return pb.CreateResponse(id=made.id, properties=to_struct(outputs))

    @_answered
    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> Any:
        provider, type_ = self._begin(request.urn)
        before, outputs = from_struct(request.old_inputs), marks.outputs_of(request.olds)
        inputs = from_struct(request.news)
        around = _surroundings(request, request.preview)
        made = provider.update(type_, request.id, plain(before), plain(outputs), plain(inputs), around)
        return pb.UpdateResponse(properties=to_struct(marks.sealed(made, inputs, provider.secret_outputs(type_))))

    @_answered
    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> Any:
        provider, type_ = self._begin(request.urn)
        inputs, outputs = from_struct(request.old_inputs), marks.outputs_of(request.properties)
        provider.delete(type_, request.id, plain(inputs), plain(outputs), _surroundings(request, False))
        return empty_pb2.Empty()

    @_answered
    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> Any:
        """The resource as it is now; an answer without an id means that it is gone.

        A request with an id alone asks for a resource to be imported: its inputs are answered, too.
        """
        provider, type_ = self._begin(request.urn)
        inputs, outputs = from_struct(request.inputs), marks.outputs_of(request.properties)
        if not inputs and not outputs:
            imported = provider.import_(type_, request.id)
            if imported is None:
                return pb.ReadResponse()
            return pb.ReadResponse(
                id=imported.id,
                inputs=to_struct(marks.inputs({}, imported.inputs)),
                properties=to_struct(marks.sealed(imported.outputs, {}, provider.secret_outputs(type_))),
            )
        found = provider.read(type_, request.id, plain(inputs), plain(outputs))
        if found is None:
            return pb.ReadResponse()
        sealed = marks.sealed(found.outputs, {**inputs, **outputs}, provider.secret_outputs(type_))
        return pb.ReadResponse(id=found.id, inputs=request.inputs, properties=to_struct(sealed))

    @_answered
    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> Any:
        raise ProviderError(f"{request.tok}: Berth's own providers have no functions; use the published plugin")

    def _for(self, urn: str) -> tuple[Provider, str]:
        """The configured provider and the resource's type; a type that is not known is refused by name."""
        type_ = urns.type_of(urn)
        if type_ not in self._package.types():
            raise ProviderError(
                f"{urn}: Berth's own {self._package.name} provider does not know the resource type {type_}; deploy "
                "with the published plugin"
            )
        if self._provider is None:
            raise ProviderError(
                f"{urn}: its provider's settings are not known yet"
                if self._unknown
                else f"{urn}: its provider was never configured"
            )
        return self._provider, type_

    def _begin(self, urn: str) -> tuple[Provider, str]:
        if self._cancelled.is_set():
            raise ProviderError(f"{urn}: the run was cancelled before this began")
        return self._for(urn)


def _surroundings(request: Any, preview: bool) -> Context:
    return Context(request.urn, preview, request.timeout or None)


def _checked(request: pb.CheckRequest, news: Properties, checked: Checked) -> Any:
    failures = [
        pb.CheckFailure(property=failure.property, reason=_without_secrets(failure.reason, request))
        for failure in checked.failures
    ]
    return pb.CheckResponse(inputs=to_struct(marks.inputs(news, checked)), failures=failures)


def _difference(found: Diff, secrecy: tuple[str, ...]) -> Any:
    changed = dict.fromkeys((*found.changed, *found.replace, *secrecy))
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if changed else pb.DiffResponse.DIFF_NONE,
        diffs=list(changed),
        replaces=list(found.replace),
        deleteBeforeReplace=found.delete_before_replace,
    )


def _without_secrets(text: str, request: Any) -> str:
    given = [from_struct(value) for _, value in request.ListFields() if isinstance(value, Struct)]
    for secret in sorted(secret_texts(given), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text
