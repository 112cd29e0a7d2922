"""`random`: values drawn once and then remembered."""

from __future__ import annotations

import base64
import json
import re
import secrets
import string

import bcrypt

from plugins.interface import CheckFailure, Context, Created, Imported, Properties, ProviderError
from plugins.providers.base import Resource, ResourceType, TypedPackage, TypedProvider
from plugins.providers.schema import Prop

_WHOLE = Prop("whole", replace=True)
_FLAG = Prop("flag", replace=True)
_KEEPERS = Prop("map", of=Prop(), replace=True)
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = {
    "Upper": string.ascii_uppercase,
    "Lower": string.ascii_lowercase,
    "Numeric": string.digits,
    "Special": _SPECIAL,
}


class RandomPassword(Resource):
    """A password with its bcrypt hash, both secret."""

    type = ResourceType(
        "random:index/randomPassword:RandomPassword",
        {
            "keepers": _KEEPERS,
            "length": Prop("whole", required=True, replace=True),
            **dict.fromkeys(("lower", "upper", "number", "numeric", "special"), _FLAG),
            **{f"min{name}": _WHOLE for name in _CLASSES},
            "overrideSpecial": Prop(replace=True),
        },
        computed=("result", "bcryptHash"),
        marks_defaults=False,
        secret_outputs=frozenset({"result", "bcryptHash"}),
    )

    def validate(self, inputs: Properties) -> list[CheckFailure]:
        length = inputs["length"]
        least = sum(inputs.get(f"min{name}", 0) for name in _CLASSES if isinstance(inputs.get(f"min{name}", 0), int))
        if isinstance(length, int | float) and (length < 1 or length < least):
            return [CheckFailure("length", f"must be at least {max(1, least)}, the sum of the least numbers asked for")]
        return []

    def create(self, inputs: Properties, context: Context) -> Created:
        numeric = inputs.get("numeric", inputs.get("number", True))
        used = {name.lower(): inputs.get(name.lower(), True) for name in _CLASSES} | {"numeric": numeric}
        least = {f"min{name}": int(inputs.get(f"min{name}", 0)) for name in _CLASSES}
        classes = {**_CLASSES, "Special": inputs.get("overrideSpecial") or _SPECIAL}
        result = _draw(int(inputs["length"]), classes, used, least)
        return Created("none", _password(result, {**inputs, **used, **least, "number": numeric}))

    def import_(self, id_: str) -> Imported | None:
        """The id is the password itself, as the published provider has it; how it was drawn cannot be known."""
        length = len(id_.encode())
        used: Properties = {name.lower(): True for name in _CLASSES}
        # A password without special characters was drawn without them, or the next run would draw another one.
        used["special"] = not id_.isalnum()
        settings = {"length": length, **used, "number": True, **{f"min{name}": 0 for name in _CLASSES}}
        return Imported("none", self.imported_inputs({"length": length}), _password(id_, settings))


def _password(result: str, settings: Properties) -> Properties:
    """All outputs of a password."""
    # bcrypt reads no more than 72 bytes; the published provider cuts there, too.
    hashed = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(10, b"2a")).decode()
    meta = json.dumps({"schema_version": "3"}, separators=(",", ":"))
    return {**settings, "result": result, "id": "none", "bcryptHash": hashed, "__meta": meta}


def _draw(length: int, classes: dict[str, str], used: dict[str, bool], least: dict[str, int]) -> str:
    pool = "".join(letters for name, letters in classes.items() if used[name.lower()])
    drawn = [secrets.choice(letters) for name, letters in classes.items() for _ in range(least[f"min{name}"])]
    drawn += [secrets.choice(pool) for _ in range(length - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


class RandomId(Resource):
    """Random bytes in several spellings."""

    type = ResourceType(
        "random:index/randomId:RandomId",
        {"keepers": _KEEPERS, "byteLength": Prop("whole", required=True, replace=True), "prefix": Prop(replace=True)},
        computed=("b64Std", "b64Url", "dec", "hex"),
        marks_defaults=False,
    )

    def validate(self, inputs: Properties) -> list[CheckFailure]:
        length = inputs["byteLength"]
        short = isinstance(length, int | float) and length < 1
        return [CheckFailure("byteLength", "must be at least 1")] if short else []

    def create(self, inputs: Properties, context: Context) -> Created:
        outputs = _spellings(secrets.token_bytes(int(inputs["byteLength"])), inputs)
        return Created(outputs["id"], outputs)

    def import_(self, id_: str) -> Imported | None:
        """The id is the bytes in base64 for URLs, or a prefix, a comma and that, as the published provider has it."""
        prefix, _, text = id_.rpartition(",")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
            raise ProviderError(
                f"{id_}: a RandomId is imported by its bytes in base64 for URLs without padding; a prefix comes before "
                "them, with a comma between"
            )
        drawn = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        inputs = self.imported_inputs({"byteLength": len(drawn), **({"prefix": prefix} if prefix else {})})
        outputs = _spellings(drawn, inputs.inputs)
        return Imported(outputs["id"], inputs, outputs)


def _spellings(drawn: bytes, inputs: Properties) -> Properties:
    """All outputs of an id."""
    prefix = inputs.get("prefix", "")
    id_ = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    spellings = {
        "b64Std": base64.b64encode(drawn).decode(),
        "b64Url": id_,
        "dec": str(int.from_bytes(drawn, "big")),
        "hex": drawn.hex(),
    }
    return {**inputs, **{name: prefix + text for name, text in spellings.items()}, "id": id_}


def package() -> TypedPackage:
    """The `random` package."""

    def make(config: Properties) -> TypedProvider:
        return TypedProvider([RandomPassword(), RandomId()])

    return TypedPackage("random", make, (RandomPassword.type, RandomId.type))
