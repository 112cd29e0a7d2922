"""`docker.RemoteImage`: an image that a daemon has, pulled if it has not."""

from __future__ import annotations

from typing import Any

from docker.errors import ImageNotFound

from plugins.interface import Context, Created, Properties, ProviderError
from plugins.providers.base import Resource, ResourceType
from plugins.providers.docker_connection import Daemon
from plugins.providers.schema import FLAG, TEXT, Prop


def find_image(daemon: Daemon, name: str, platform: str | None, who: str) -> dict[str, Any]:
    """The image as the daemon knows it; pulled when it is not there yet."""
    with daemon.doing(f"{who}: image {name} cannot be read") as api:
        try:
            return dict(api.inspect_image(name))
        except ImageNotFound:
            pass
    with daemon.doing(f"{who}: image {name} is not there and cannot be pulled") as api:
        for line in api.pull(name, stream=True, decode=True, auth_config=daemon.auth(name), platform=platform or None):
            if "error" in line:
                raise ProviderError(
                    f"{who}: image {name} is not on {daemon.host} and cannot be pulled ({line['error']}); check the "
                    "name, and that this daemon reaches the registry and trusts its certificate"
                )
        return dict(api.inspect_image(name))


class RemoteImage(Resource):
    """An image on a daemon."""

    type = ResourceType(
        "docker:index/remoteImage:RemoteImage",
        {
            "name": Prop(required=True, replace=True),
            "platform": Prop(replace=True),
            "pullTriggers": Prop("set", of=TEXT, replace=True),
            "triggers": Prop("map", of=TEXT, replace=True),
            "keepLocally": FLAG,
            "forceRemove": FLAG,
        },
        computed=("imageId", "repoDigest"),
    )

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def create(self, inputs: Properties, context: Context) -> Created:
        image = find_image(self._daemon, inputs["name"], inputs.get("platform"), "RemoteImage")
        return self._created(image, inputs)

    def _created(self, image: dict[str, Any], known: Properties) -> Created:
        digests = image.get("RepoDigests") or []
        repository = known["name"].partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        own = [digest for digest in digests if digest.partition("@")[0] == repository]
        outputs = dict(known)
        outputs |= {"imageId": image["Id"], "repoDigest": (own or digests or [""])[0]}
        return Created(image["Id"] + known["name"], outputs)

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        with self._daemon.doing(f"image {outputs['name']}: cannot be read") as api:
            try:
                return self._created(api.inspect_image(outputs["name"]), outputs)
            except ImageNotFound:
                return None

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        name = inputs["name"]
        if inputs.get("keepLocally"):
            return
        with self._daemon.doing(f"image {name}: cannot be removed (a container may use it)") as api:
            try:
                api.remove_image(name, force=bool(inputs.get("forceRemove")))
            except ImageNotFound:
                return
