"""OpenStack Kolla: what it is told, and the resources that run it."""

from components.kolla.args import KollaArgs
from components.kolla.component import Kolla

__all__ = ["Kolla", "KollaArgs"]
