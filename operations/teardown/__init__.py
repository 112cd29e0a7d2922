"""`down`: what takes a stack away, in what order, and what it must leave."""
