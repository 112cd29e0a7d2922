"""What each node's engines know of the registry: a login that may read, and the way to the caches."""
