"""`docker.Container`: made, started and waited for the way the published provider does it."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from plugins.interface import CheckFailure, Context, Created, Imported, Properties, ProviderError
from plugins.providers.base import Resource, ResourceType
from plugins.providers.docker_connection import Daemon
from plugins.providers.docker_container_body import HEALTH_TIMES, container_body, endpoint, nanoseconds, upload_archive
from plugins.providers.docker_container_facts import COLLECTIONS, container_facts
from plugins.providers.docker_container_import import Around, imported, unknown_settings
from plugins.providers.docker_image import find_image
from plugins.providers.schema import FLAG, TEXT, TEXT_SET, TEXTS, WHOLE, Prop, canonical

_TEXT = Prop(replace=True)
_TEXTS = Prop("list", of=TEXT, replace=True)
_SET = Prop("set", of=TEXT, replace=True)
_MAP = Prop("map", of=TEXT, replace=True)
_FLAG = Prop("flag", replace=True)
_WHOLE = Prop("whole", replace=True)


def _objects(kind: Any, **fields: Prop) -> Prop:
    return Prop(kind, of=Prop("object", fields=fields), replace=True)


_NEED, _NEED_WHOLE = Prop(required=True), Prop("whole", required=True)
_FIELDS: dict[str, Prop] = {
    **dict.fromkeys(
        (
            "name", "hostname", "domainname", "user", "workingDir", "runtime", "platform", "stopSignal", "ipcMode",
            "logDriver", "pidMode", "usernsMode", "cgroupnsMode", "cgroupParent", "cpus",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("dns", "dnsOpts", "dnsSearches", "envs", "securityOpts", "groupAdds"), _SET),
    **dict.fromkeys(("privileged", "publishAllPorts", "readOnly", "tty", "stdinOpen"), _FLAG),
    **dict.fromkeys(("logOpts", "sysctls", "storageOpts"), _MAP),
    **dict.fromkeys(("shmSize", "stopTimeout"), _WHOLE),
    **dict.fromkeys(
        (
            "memory", "memoryReservation", "memorySwap", "cpuShares", "cpuPeriod", "cpuQuota", "maxRetryCount",
            "destroyGraceSeconds",
        ),
        WHOLE,
    ),
    **dict.fromkeys(("rm", "wait"), FLAG),
    # The published provider remembers a change of these three and does nothing; here the container gets it.
    "tmpfs": _MAP,
    "init": _FLAG,
    "healthcheck": Prop(
        "object",
        replace=True,
        fields={"tests": TEXTS, "retries": WHOLE, **dict.fromkeys(HEALTH_TIMES, Prop(default="0s"))},
    ),
    "image": Prop(required=True, replace=True),
    "command": _TEXTS,
    "entrypoints": _TEXTS,
    "cpuSet": TEXT,
    "networkMode": Prop(replace=True, default="bridge"),
    "restart": Prop(default="no", allowed=("no", "on-failure", "always", "unless-stopped")),
    "start": Prop("flag", default=True),
    "mustRun": Prop("flag", default=True),
    "removeVolumes": Prop("flag", default=True),
    "waitTimeout": Prop("whole", default=60),
    "containerReadRefreshTimeoutMilliseconds": Prop("whole", default=15000),
    "capabilities": Prop("object", fields={"adds": TEXT_SET, "drops": TEXT_SET}, replace=True),
    "labels": _objects("set", label=_NEED, value=_NEED),
    "hosts": _objects("set", host=_NEED, ip=_NEED),
    "ulimits": _objects("set", name=_NEED, soft=_NEED_WHOLE, hard=_NEED_WHOLE),
    "ports": _objects(
        "set", internal=_NEED_WHOLE, external=WHOLE, ip=Prop(default="0.0.0.0"), protocol=Prop(default="tcp")
    ),
    "volumes": _objects(
        "set", containerPath=TEXT, fromContainer=TEXT, hostPath=TEXT, volumeName=TEXT, readOnly=FLAG,
        selinuxRelabel=TEXT,
    ),
    "networksAdvanced": _objects(
        "set", name=_NEED, aliases=TEXT_SET, ipv4Address=TEXT, ipv6Address=TEXT, linkLocalIps=TEXT_SET, macAddress=TEXT,
        driverOpts=TEXT_SET,
    ),
    "uploads": _objects(
        "set", file=_NEED, content=TEXT, contentBase64=TEXT, source=TEXT, sourceHash=TEXT, executable=FLAG,
        permissions=TEXT,
    ),
}  # fmt: skip
_FIRST_MOMENTS = 0.6
"""Seconds for which a new container is watched: one that ends in them is an error now, not at the next run."""
_IN_PLACE = ("restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "memorySwap", "cpuSet")


class Container(Resource):
    """A container; most changes replace it, the old one first, for its name and its ports are taken."""

    type = ResourceType(
        "docker:index/container:Container",
        _FIELDS,
        computed=("bridge", "containerLogs", "exitCode", *COLLECTIONS),
        auto_name=True,
        delete_before_replace=True,
    )

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def validate(self, inputs: Properties) -> list[CheckFailure]:
        failures = []
        check = inputs.get("healthcheck")
        times = check if isinstance(check, dict) else {}
        for name in HEALTH_TIMES:
            if isinstance(times.get(name), str) and nanoseconds(times[name]) is None:
                failures.append(CheckFailure(f"healthcheck.{name}", "must be a duration such as 1m30s"))
        if any(word == "" for word in inputs.get("command") or []):
            failures.append(CheckFailure("command", "must not contain an empty word"))
        return failures

    def same(self, name: str, prop: Prop, old: Any, new: Any) -> bool:
        return super().same(name, prop, _spelled(name, old, new), _spelled(name, new, new))

    def create(self, inputs: Properties, context: Context) -> Created:
        name, image = inputs["name"], inputs["image"]
        find_image(self._daemon, image, inputs.get("platform"), f"container {name}")
        what = f"container {name}: cannot be created"
        with self._daemon.doing(what) as api:
            archive = upload_archive(inputs["uploads"]) if inputs.get("uploads") else None
            made = api.create_container_from_config(container_body(inputs), name, inputs.get("platform"))
            id_: str = made["Id"]
            try:
                self._connect(api, id_, inputs)
                if archive:
                    api.put_archive(id_, "/", archive)
                if inputs.get("start", True):
                    self._start(api, id_, inputs)
                return Created(id_, self._outputs(api.inspect_container(id_), inputs))
            except BaseException:
                # A half-made container is not in the state; left behind, its name would block the next run.
                with contextlib.suppress(Exception):
                    api.remove_container(id_, force=True, v=True)
                raise

    def _connect(self, api: docker.APIClient, id_: str, inputs: Properties) -> None:
        networks = inputs.get("networksAdvanced") or []
        if not networks:
            return
        try:
            api.disconnect_container_from_network(id_, "bridge")
        except APIError as error:
            if "is not connected to" not in str(error.explanation):
                raise
        for network in networks:
            api._result(  # docker's own method cannot pass driver options on older API versions
                api._post_json(
                    api._url("/networks/{0}/connect", network["name"]),
                    data={"Container": id_, "EndpointConfig": endpoint(network)},
                )
            )

    def _start(self, api: docker.APIClient, id_: str, inputs: Properties) -> None:
        api.start(id_)
        if inputs.get("wait"):
            self._wait(api, id_, inputs)
            return
        watched = time.monotonic() + _FIRST_MOMENTS
        while time.monotonic() < watched:
            self._insist(api, id_, inputs, api.inspect_container(id_)["State"])
            time.sleep(_FIRST_MOMENTS / 3)

    def _insist(self, api: docker.APIClient, id_: str, inputs: Properties, state: dict[str, Any]) -> None:
        if inputs.get("mustRun", True) and state.get("Status") == "exited" and state.get("ExitCode"):
            raise self._failed(api, id_, inputs, f"ended at once with exit code {state['ExitCode']}")

    def _wait(self, api: docker.APIClient, id_: str, inputs: Properties) -> None:
        limit = float(inputs.get("waitTimeout") or 60)
        give_up = time.monotonic() + limit
        while True:
            state = api.inspect_container(id_)["State"]
            self._insist(api, id_, inputs, state)
            health = state.get("Health")
            if health is None:
                name = inputs["name"]
                raise ProviderError(f"container {name}: `wait` needs a healthcheck; add one or remove `wait`")
            if health["Status"] == "healthy":
                return
            if time.monotonic() > give_up:
                last = (health.get("Log") or [{}])[-1].get("Output", "").strip()[-500:]
                detail = f"; its check last said: {last}" if last else ""
                raise self._failed(api, id_, inputs, f"was not healthy within {limit:g} seconds{detail}")
            time.sleep(0.5)

    def _failed(self, api: docker.APIClient, id_: str, inputs: Properties, what: str) -> ProviderError:
        logs = ""
        with contextlib.suppress(Exception):
            logs = api.logs(id_, tail=20).decode(errors="replace").strip()[-2000:]
        detail = f"\nIts last lines:\n{logs}" if logs else " It printed nothing."
        return ProviderError(f"container {inputs['name']} on {self._daemon.host} {what}.{detail}")

    def _outputs(self, info: dict[str, Any], known: Properties) -> Properties:
        """The known outputs, corrected by what Docker reports; equivalent spellings are kept."""
        outputs = dict(known)
        for name, value in container_facts(info, known).items():
            prop = self.type.fields.get(name)
            if prop is None or name not in known:
                if value is not None and (name in COLLECTIONS or canonical(prop or TEXT, value) is not None):
                    outputs[name] = value
            elif name == "ports" or not self.same(name, prop, value, known[name]):
                outputs[name] = value
        return {**{name: [] for name in COLLECTIONS}, **outputs}

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        outputs = super().update(id_, old_inputs, old_outputs, news, context)
        with self._daemon.doing(f"container {news['name']}: cannot be updated") as api:
            if any(old_outputs.get(name) != news.get(name) for name in _IN_PLACE):
                self._set_limits(api, id_, news)
            if not old_outputs.get("mustRun", True) and news.get("mustRun") and news.get("start", True):
                api.start(id_)
            return self._outputs(api.inspect_container(id_), outputs)

    def _set_limits(self, api: docker.APIClient, id_: str, news: Properties) -> None:
        host = container_body(news)["HostConfig"]
        keys = ("Memory", "MemoryReservation", "MemorySwap", "CpuShares", "CpusetCpus", "RestartPolicy")
        data = {key: host[key] for key in keys if key in host}
        api._result(api._post_json(api._url("/containers/{0}/update", id_), data=data), True)

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        name = inputs.get("name") or outputs.get("name") or id_[:12]
        with self._daemon.doing(f"container {name}: cannot be removed") as api, contextlib.suppress(NotFound):
            api.stop(id_, timeout=int(inputs.get("destroyGraceSeconds") or 0))
            try:
                api.remove_container(id_, v=inputs.get("removeVolumes", True), force=True)
            except APIError as error:
                if "already in progress" not in str(error.explanation):
                    raise
            api.wait(id_, condition="removed")

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        with self._daemon.doing(f"container {outputs.get('name', id_[:12])}: cannot be read") as api:
            try:
                info = api.inspect_container(id_)
            except NotFound:
                return None
            return Created(id_, self._outputs(info, outputs))

    def import_(self, id_: str) -> Imported | None:
        """By id or name."""
        with self._daemon.doing(f"container {id_}: cannot be read") as api:
            try:
                info = api.inspect_container(id_)
            except NotFound:
                return None
            around = _around(api, info)
        if unknown := unknown_settings(info):
            raise ProviderError(
                f"container {id_} on {self._daemon.host} has {', '.join(unknown)}, which Berth's own providers do not "
                "know; import it with the published plugin"
            )
        given, left_open = imported(info, around)
        inputs = self.imported_inputs(given)
        return Imported(info["Id"], inputs, {**left_open, **self._outputs(info, inputs.inputs)})


def _around(api: docker.APIClient, info: dict[str, Any]) -> Around:
    image: dict[str, Any] = {}
    with contextlib.suppress(ImageNotFound):
        image = api.inspect_image(info["Image"])["Config"] or {}
    daemon = api.info()
    cgroupns = "host" if daemon.get("CgroupVersion") == "1" else "private"
    return Around(image, daemon.get("DefaultRuntime", ""), daemon.get("LoggingDriver", ""), cgroupns)


def _spelled(name: str, value: Any, wanted: Any) -> Any:
    """One spelling for what Docker and people write in several ways; `wanted` is what the user asked for."""
    if name == "capabilities" and isinstance(value, dict):
        return {
            side: [str(item).upper().removeprefix("CAP_") for item in value.get(side) or []]
            for side in ("adds", "drops")
        }
    if name == "healthcheck" and isinstance(value, dict):
        return {
            **value,
            **{time_: nanoseconds(value[time_]) for time_ in HEALTH_TIMES if isinstance(value.get(time_), str)},
        }
    if name == "networkMode" and value == "default":
        return "bridge"
    if name == "ports" and isinstance(value, list) and isinstance(wanted, list):
        chosen = {(port["internal"], port.get("protocol")) for port in wanted if port.get("external")}
        return [
            port if (port["internal"], port.get("protocol")) in chosen else {**port, "external": None} for port in value
        ]
    return value
