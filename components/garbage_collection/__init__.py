"""Garbage collection: on each registry node a process that removes blobs no manifest needs, one of them at a time."""
