"""The base class of all settings, and what several of them share."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from config.fields import common as v


class Model(BaseModel):
    """Frozen, camelCase in YAML, without unknown keys, documented by the docstring of each field."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class ProxySettings(Model):
    """Proxies of the Docker daemons."""

    http: v.ProxyUrl | None = Field(default=None, examples=["http://proxy.example.com:3128"])
    """Proxy for http URLs."""

    https: v.ProxyUrl | None = Field(default=None, examples=["http://proxy.example.com:3128"])
    """Proxy for https URLs."""

    no_proxy: tuple[v.NoProxy, ...] = Field(default=(), examples=[[".example.com", "10.0.0.0/8"]])
    """Hosts, domains and networks without proxy. The registry and the nodes are added by Berth."""

    def variables(self, direct: Sequence[str]) -> dict[str, str]:
        """The environment variables of the proxies; `direct` is what is reached without one."""
        known = {"HTTP_PROXY": self.http, "HTTPS_PROXY": self.https, "NO_PROXY": ",".join(direct)}
        return {name: value for name, value in known.items() if value}
