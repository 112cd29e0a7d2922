"""What a bucket keeps of objects that are overwritten or deleted."""

from __future__ import annotations

from typing import Any

from minio.versioningconfig import SUSPENDED, VersioningConfig

from plugins.interface import Context, Created, Imported, Properties, ProviderError
from plugins.providers.base import ResourceType
from plugins.providers.minio_base import OnServer
from plugins.providers.minio_connection import Gone
from plugins.providers.schema import FLAG, TEXTS, Prop


class S3BucketVersioning(OnServer):
    """The versioning of a bucket. S3 knows no way back to none at all: what is removed is suspended."""

    type = ResourceType(
        "minio:index/s3BucketVersioning:S3BucketVersioning",
        {
            "bucket": Prop(required=True, replace=True),
            "versioningConfiguration": Prop(
                "object",
                required=True,
                fields={
                    "status": Prop(required=True, allowed=("Enabled", "Suspended")),
                    "excludedPrefixes": TEXTS,
                    "excludeFolders": FLAG,
                },
            ),
        },
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        self._set(inputs["bucket"], inputs["versioningConfiguration"])
        return Created(inputs["bucket"], self._outputs(inputs))

    def _set(self, bucket: str, wanted: Properties) -> None:
        config = VersioningConfig(
            wanted["status"],
            excluded_prefixes=wanted.get("excludedPrefixes"),
            exclude_folders=bool(wanted.get("excludeFolders")),
        )
        with self._server.doing(f"bucket {bucket}: its versioning cannot be set"):
            # The server itself accepts one for a bucket that is not there.
            if not self._server.store.bucket_exists(bucket):
                raise ProviderError(f"bucket {bucket} is not on {self._server.url}; make the bucket first")
            self._server.store.set_bucket_versioning(bucket, config)

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        self._set(id_, news["versioningConfiguration"])
        return super().update(id_, old_inputs, old_outputs, news, context)

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        try:
            with self._server.doing(f"bucket {id_}: its versioning cannot be read"):
                found = self._server.store.get_bucket_versioning(id_)
        except Gone:
            return None
        if not found.status:
            return None
        there: dict[str, Any] = {"status": found.status}
        if found.excluded_prefixes:
            there["excludedPrefixes"] = found.excluded_prefixes
        if found.exclude_folders:
            there["excludeFolders"] = True
        return Created(id_, self._outputs(outputs, bucket=id_, versioningConfiguration=there))

    def import_(self, id_: str) -> Imported | None:
        """By the bucket's name."""
        return self._import_as_read(id_)

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        with self._server.doing(f"bucket {id_}: its versioning cannot be suspended"):
            if self._server.store.bucket_exists(id_):
                self._server.store.set_bucket_versioning(id_, VersioningConfig(SUSPENDED))
