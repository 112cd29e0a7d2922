"""etcd: a key-value store of three or five members, bootstrapped by itself and changed one member at a time."""
