"""The settings as typed, frozen models: what the user decides."""
