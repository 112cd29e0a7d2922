"""Which images the services run."""

from __future__ import annotations

from pydantic import Field

from config.fields import common as v
from config.model.base import Model


class SeedSettings(Model):
    """The registry on the deploy host from which nodes take Berth's own images at first."""

    address: v.Address = Field(default="", examples=["10.77.0.2"])
    """The deploy host's IPv4 address as the nodes see it. Default in a lab: the second address of the subnet."""

    port: v.Port = 4999
    """TCP port of the seed registry (TLS)."""


class ImageSettings(Model):
    """Images of the services. What is not named here is built by Berth and served by the seed registry."""

    seed: SeedSettings = SeedSettings()
    """The seed registry."""

    registry: v.Image | None = Field(default=None, examples=["docker.io/library/registry@sha256:" + "0" * 64])
    """Image of the registry, with digest, from a registry that the nodes reach."""

    object_store: v.Image | None = None
    """Image of the object store, with digest: MinIO, or a fork of it that takes the same command and environment."""

    nginx: v.Image | None = None
    """Image of nginx, with digest."""

    keepalived: v.Image | None = None
    """Image of keepalived, with digest. Default: Berth's image of nginx, which holds both."""

    cache: v.Image | None = None
    """Image of the caches, with digest. Default: Berth's image of the registry."""


class PinSource(Model):
    """Where pins come from: for people, and for the error about a missing image."""

    stack: v.Text = Field(examples=["staging"])
    """The stack in which the pinned images were verified."""

    time: v.Text = Field(examples=["2026-11-22T10:41:07Z"])
    """When it was promoted."""

    commit: v.Text = Field(default="", examples=["9332128e0c1f"])
    """Berth's commit with which that stack was last verified."""


class PinnedImages(Model):
    """What each service runs: the digest of an image that Berth built, or a whole name with digest."""

    registry: v.Pin | None = Field(default=None, examples=["sha256:" + "0" * 64])
    """Image of the registry."""

    object_store: v.Pin | None = None
    """Image of the object store."""

    nginx: v.Pin | None = None
    """Image of nginx."""

    keepalived: v.Pin | None = None
    """Image of keepalived."""

    cache: v.Pin | None = None
    """Image of the caches."""


class PinSettings(Model):
    """Images that were verified in another stack: `berth promote` writes them to pins/STACK.yaml."""

    source: PinSource = Field(alias="from")
    """Where the pins come from."""

    images: PinnedImages = PinnedImages()
    """Images of the services."""

    repositories: dict[v.Tagged, v.Digest] = Field(default={}, examples=[{"team/app:1": "sha256:" + "0" * 64}])
    """Digest of each promoted tag in the stack's own registry; `berth verify` checks them."""
