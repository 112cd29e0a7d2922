"""`random`: values drawn once and then remembered."""

from __future__ import annotations

import base64
import json
import secrets
import string

import bcrypt

from ..interface import CheckFailure, Context, Created, Properties
from .base import Resource, ResourceType, TypedPackage, TypedProvider
from .schema import Prop

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
        outputs = {**inputs, **used, **least, "number": numeric, "result": result, "id": "none"}
        # bcrypt reads no more than 72 bytes; the published provider cuts there, too.
        outputs["bcryptHash"] = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(10, b"2a")).decode()
        return Created("none", {**outputs, "__meta": json.dumps({"schema_version": "3"}, separators=(",", ":"))})


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
        drawn = secrets.token_bytes(int(inputs["byteLength"]))
        prefix = inputs.get("prefix", "")
        id_ = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
        spellings = {
            "b64Std": base64.b64encode(drawn).decode(),
            "b64Url": id_,
            "dec": str(int.from_bytes(drawn, "big")),
            "hex": drawn.hex(),
        }
        return Created(id_, {**inputs, **{name: prefix + text for name, text in spellings.items()}, "id": id_})


def package() -> TypedPackage:
    """The `random` package."""

    def make(config: Properties) -> TypedProvider:
        return TypedProvider([RandomPassword(), RandomId()])

    return TypedPackage("random", make, (RandomPassword.type, RandomId.type))
