"""Documents that a stack's backend keeps in tags beside the state: the same on every deploy host.

Setting a tag takes no lock, and a run that is under way does not write tags, so a step of `up` may keep one.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from operations.pulumi.session import LONGEST_TAG, Session

LONGEST_ARGUMENT = 100_000
"""Characters of one tag where the backend has no limit: Linux passes 128 KiB in an argument at most."""


def write(session: Session, name: str, document: Any) -> None:
    """Keep a document as JSON, compressed, in the tags `berth:NAME.0`, `berth:NAME.1`, ... of the deployed stack.

    What is interrupted in the middle of several tags leaves a document that cannot be read.
    """
    text = base64.b64encode(zlib.compress(json.dumps(document, sort_keys=True).encode(), 9)).decode()
    size = (LONGEST_TAG if session.workspace.is_service else LONGEST_ARGUMENT) - len("999 ")
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    # A longer one before it may have left tags behind: the first holds the number of valid ones.
    parts[0] = f"{len(parts)} {parts[0]}"
    for number, part in enumerate(parts):
        session.set_tag(_tag(name, number), part)


def read(session: Session, name: str) -> Any:
    """The document; None where there is none, or none that can be read."""
    count, _, text = (session.tag(_tag(name, 0)) or "").partition(" ")
    try:
        text += "".join(session.tag(_tag(name, number)) or "" for number in range(1, int(count)))
        return json.loads(zlib.decompress(base64.b64decode(text)))
    except (ValueError, zlib.error):
        return None


def _tag(name: str, number: int) -> str:
    return f"berth:{name}.{number}"
