"""Which images the enabled services need."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import images
from operations.errors import UsageError

FOLDER = images.FOLDER / "kolla"
TABLE = FOLDER / "services.toml"


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def buildable() -> list[str]:
    """Services whose images can be built from Debian's packages and the Python package index."""
    return sorted(_known()["images"])


def enabled(has: Callable[[str, bool], bool]) -> list[str]:
    """Services with images that are on; `has` decides by the settings, given Kolla's own default."""
    known = _known()

    def on(name: str) -> bool:
        default = known["on"].get(name, False)
        return has(name, on(default) if isinstance(default, str) else default)

    # The core is not a service but a group of several.
    names = {*known["images"], *known["impossible"], *known["on"]} - {"openstack_core"}
    return sorted(name for name in names if on(name))


def images_of(services: Iterable[str]) -> list[str]:
    """The images that are deployed for these services, without those that they only start from."""
    known = _known()
    wrong = [name for name in services if name not in known["images"]]
    if wrong:
        reasons = [f"  {name}: {known['impossible'].get(name, 'there is no recipe for it')}." for name in wrong]
        way_out = "Switch them off in kolla.services, or copy their images (./berth kolla copy)."
        can = f"Images are built of: {', '.join(buildable())}."
        raise UsageError("\n".join(["These services' images can't be built:", *reasons, way_out, can]))
    return sorted({*known["always"], *(image for name in services for image in known["images"][name])})
