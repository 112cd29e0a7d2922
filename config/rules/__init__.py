"""Rules over several settings: generators of problems, each with path, what is wrong and how to fix it."""
