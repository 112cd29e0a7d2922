"""The kinds of text that settings are made of, each validated where it enters."""
