"""etcd: a key-value store of three or five members, bootstrapped by itself and changed one member at a time."""

from components.etcd.args import EtcdArgs
from components.etcd.component import Etcd

__all__ = ["Etcd", "EtcdArgs"]
