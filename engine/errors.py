"""Errors whose text is meant for the user and is shown without a stack trace."""


class EngineError(Exception):
    """Something the user can act on; the text says what is wrong and what to do."""

    exit_code = 1


class UsageError(EngineError):
    """The command was called in a way it cannot work."""

    exit_code = 2


class StackNotFound(EngineError):
    """The stack does not exist, or none was named."""

    exit_code = 6


class StepFailed(EngineError):
    """One resource could not be brought to its goal; the others go on."""
