"""Service accounts: keys of a user that may do less than the user."""

from __future__ import annotations

import json
from typing import Any

from minio.crypto import decrypt, encrypt
from minio.minioadmin import _COMMAND

from plugins.interface import Context, Created, Imported, Properties, ProviderError
from plugins.providers.base import ResourceType
from plugins.providers.minio_base import WithPolicy, drawn_secret
from plugins.providers.minio_connection import Gone
from plugins.providers.schema import FLAG, Prop

# Says that there is no policy of its own: the account may do what its user may.
_NONE = {"Version": "", "Statement": None}
_STATUS = {False: "on", True: "off"}


class IamServiceAccount(WithPolicy):
    """A key with a policy of its own; the server draws both halves and shows the secret once."""

    type = ResourceType(
        "minio:index/iamServiceAccount:IamServiceAccount",
        {
            "targetUser": Prop(required=True, replace=True),
            "policy": Prop(),
            "disableUser": FLAG,
            "updateSecret": FLAG,
        },
        computed=("accessKey", "policy", "secretKey", "status"),
        secret_outputs=frozenset({"secretKey"}),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        user = inputs["targetUser"]
        wanted = {"targetUser": user, "policy": _document(inputs)}
        try:
            with self._server.doing(f"service account of user {user}: cannot be made"):
                key = self._added(wanted)
        except Gone:
            raise ProviderError(f"user {user} is not on {self._server.url}; make the user first") from None
        if inputs.get("disableUser"):
            self._change(key["accessKey"], status="off")
        known = {**inputs, "updateSecret": bool(inputs.get("updateSecret")), **key}
        return Created(key["accessKey"], self._seen(key["accessKey"], known))

    def _added(self, wanted: dict[str, Any]) -> dict[str, str]:
        # The library's own call knows no other user than the one who asks.
        admin, secret = self._server.admin, self._server.secret
        body = encrypt(json.dumps(wanted).encode(), secret)
        command = _COMMAND.SERVICE_ACCOUNT_ADD
        response = admin._url_open(method="PUT", command=command, body=body, preload_content=False)
        made = json.loads(decrypt(response, secret))["credentials"]
        return {name: made[name] for name in ("accessKey", "secretKey")}

    def _change(self, id_: str, **news: Any) -> None:
        with self._server.doing(f"service account {id_}: cannot be changed"):
            self._server.admin.update_service_account(access_key=id_, **news)

    def _seen(self, id_: str, known: Properties) -> Properties:
        """The known outputs, updated with the server's."""
        return self._with_answer(known, self._answer(id_))

    def _answer(self, id_: str) -> dict[str, Any]:
        with self._server.doing(f"service account {id_}: cannot be read"):
            return dict(json.loads(self._server.admin.get_service_account(id_)))

    def _with_answer(self, known: Properties, answer: dict[str, Any]) -> Properties:
        status = answer["accountStatus"]
        facts = {"policy": answer["policy"], "targetUser": answer["parentUser"]}
        return self._outputs(known, status=status, disableUser=status == "off", **facts)

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        known = {**super().update(id_, old_inputs, old_outputs, news, context)}
        known["updateSecret"] = bool(news.get("updateSecret"))
        if known["updateSecret"]:
            known["secretKey"] = drawn_secret()
        changed = {"secret_key": known["secretKey"]} if known["updateSecret"] else {}
        try:
            self._change(id_, policy=_document(news), status=_STATUS[bool(news.get("disableUser"))], **changed)
            return self._seen(id_, known)
        except Gone:
            there = f"service account {id_} is no longer on {self._server.url}"
            raise ProviderError(f"{there}; run `refresh`, then `up`, which makes another one") from None

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        try:
            return Created(id_, self._seen(id_, outputs))
        except Gone:
            return None

    def import_(self, id_: str) -> Imported | None:
        """By access key; the secret key cannot be read."""
        try:
            answer = self._answer(id_)
        except Gone:
            return None
        seen = self._with_answer({"updateSecret": False, "accessKey": id_}, answer)
        # Of an account without a policy of its own the server shows what its user may.
        own = {"policy": not answer.get("impliedPolicy"), "disableUser": seen["disableUser"]}
        inputs = self.imported_inputs(
            {"targetUser": seen["targetUser"], **{name: seen[name] for name in own if own[name]}}
        )
        return Imported(id_, inputs, {**inputs.inputs, **seen})

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        try:
            with self._server.doing(f"service account {id_}: cannot be removed"):
                self._server.admin.delete_service_account(id_)
        except Gone:
            return


def _document(inputs: Properties) -> Any:
    return json.loads(inputs["policy"]) if inputs.get("policy") else _NONE
