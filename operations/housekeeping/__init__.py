"""Day two: what keeps a stack in good order."""
