"""What the Pulumi SDK talks to: the resource monitor and the engine service, as plain objects in this process."""

from __future__ import annotations

import traceback
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from engine import values
from engine.deployment import Deployment
from engine.errors import EngineError
from engine.goal import read_goal
from engine.report import Reporter

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor:
    """Methods and messages are those of the gRPC service, so that a real server would be a thin wrapper."""

    def __init__(self, deployment: Deployment, reporter: Reporter) -> None:
        self._deployment = deployment
        self._reporter = reporter

    def GetDeploymentInfo(self, _request: Any) -> Any:
        """Which optional parts of the protocol are there; the SDK refuses the others by name."""
        return resource_pb2.DeploymentInfo(
            project=self._deployment.project,
            stack=self._deployment.stack,
            organization="organization",
            supportedFeatures=_FEATURES,
        )

    def RegisterResource(self, request: Any) -> Any:
        """One resource; a failure is an answer, so that independent work goes on."""
        try:
            aliases = self._deployment.aliases_of(request.parent)
            goal = read_goal(request, self._deployment.stack, self._deployment.project, aliases)
            outcome = self._deployment.register(goal)
            result = resource_pb2.FAIL if outcome.failed else resource_pb2.SUCCESS
            outputs = values.to_struct(outcome.outputs or {})
            return resource_pb2.RegisterResourceResponse(urn=outcome.urn, id=outcome.id, object=outputs, result=result)
        except EngineError as error:
            self._reporter.diagnostic("error", str(error))
        except Exception:
            self._reporter.diagnostic("error", f"the engine failed on {request.name!r}:\n{traceback.format_exc()}")
        return resource_pb2.RegisterResourceResponse(urn="", result=resource_pb2.FAIL)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Outputs of a component or the stack; a failed component has no URN to put them on."""
        if request.urn:
            self._deployment.register_outputs(request.urn, values.from_struct(request.outputs))
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, _request: Any) -> Any:
        """Nothing to wait for: deletions run after the program's end."""
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        """Provider functions are not needed by this program."""
        raise EngineError(f"{request.tok}: the embedded engine does not support provider functions (get_...)")

    def ReadResource(self, request: Any) -> Any:
        """Resources that others own are not needed by this program."""
        raise EngineError(f"{request.type} {request.name!r}: the embedded engine does not support .get()")

    def Call(self, request: Any) -> Any:
        """Methods of remote components are not needed by this program."""
        raise EngineError(f"{request.tok}: the embedded engine does not support resource methods")


class EngineService:
    """The SDK's log."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def Log(self, request: Any) -> Any:
        """Pass on everything but debug messages, of which the SDK sends several per resource."""
        severity = _SEVERITIES[request.severity]
        if severity != "debug":
            self._reporter.diagnostic(severity, request.message, request.urn)
        return empty_pb2.Empty()
