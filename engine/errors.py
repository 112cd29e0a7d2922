"""Errors whose text is meant for the user and is shown without a stack trace."""


class EngineError(Exception):
    """Something the user can act on; the text says what is wrong and what to do."""


class StepFailed(EngineError):
    """One resource could not be brought to its goal; the others go on."""
