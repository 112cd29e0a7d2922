"""`python3 -m components.nodes.vboxmanage network|drive|machine apply|remove`, and `machine boot`.

The part's dataclass comes as JSON on standard input. `remove` reads what an earlier version of this program was given:
a field that is added needs a default.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from components.nodes.vboxmanage import drive, network, steps
from components.nodes.vboxmanage.machine import Machine
from operations.errors import DONE, FAILED, BerthError

PARTS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Callable[[Any], None]]]] = {
    "network": (network.Network, {"apply": network.apply, "remove": network.remove}),
    "drive": (drive.Drive, {"apply": drive.apply, "remove": drive.remove}),
    "machine": (Machine, {"apply": steps.apply, "boot": steps.boot, "remove": steps.remove}),
}


def main(part: str, verb: str) -> int:
    """The command."""
    # Whoever interrupts a run is shown no stack trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    described, verbs = PARTS[part]
    text = sys.stdin.read()
    try:
        if not text:
            # What recovery makes of a command whose update was interrupted.
            raise BerthError(
                f"the last run was interrupted, and the state no longer says which {part} this is; "
                "run ./berth up with the settings that it was made with, then this again"
            )
        verbs[verb](described(**json.loads(text)))
    except (BerthError, OSError) as error:
        print(f"berth: {error}", file=sys.stderr)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
