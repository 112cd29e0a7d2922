"""FILE PROGRAM ARGUMENTS...: one call of a fake program, a function of FILE, on the state that all of them share."""

# ruff: noqa: PTH123  # it starts some hundred times, and importing pathlib or runpy would take most of that
import json
import os
import sys

fake, program, *arguments = sys.argv[1:]
functions: dict = {}
with open(fake) as file:
    exec(compile(file.read(), fake, "exec"), functions)
path = os.environ["FAKE_STATE"]
with open(path) as file:
    state = json.load(file)
try:
    functions[program](state, arguments)
finally:
    with open(path, "w") as file:
        json.dump(state, file)
