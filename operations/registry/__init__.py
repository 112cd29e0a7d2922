"""A stack's registry as its clients see it: where it is, what is in it."""
