"""A stand-in for Pulumi's CLI: notes its calls, plays the answer prepared for its words."""

import json
import os
import signal
import sys
import time
from pathlib import Path

answers = Path(os.environ["FAKE_PULUMI"])
arguments = sys.argv[1:]
words = []
for word in arguments:
    if word.startswith("-"):
        break
    words.append(word)
command = " ".join(words)
if command == "version":
    print("v3.276.0")
    sys.exit(0)
kept = ("PULUMI_", "BERTH_", "NO_COLOR", "PATH")
stack = arguments[arguments.index("--stack") + 1] if "--stack" in arguments else ""
with (answers / "calls.jsonl").open("a") as log:
    note = {"command": command, "arguments": arguments, "cwd": str(Path.cwd())}
    note["environment"] = {k: v for k, v in os.environ.items() if k.startswith(kept)}
    log.write(json.dumps(note) + "\n")
prepared = answers / f"{command.replace(' ', '-')}@{stack}.json"
if not prepared.exists():
    prepared = answers / f"{command.replace(' ', '-')}.json"
answer = json.loads(prepared.read_text()) if prepared.exists() else {}


def interrupted(*_):
    (answers / "interrupted").touch()
    sys.exit(255)


signal.signal(signal.SIGINT, interrupted)
if "--event-log" in arguments:
    with Path(arguments[arguments.index("--event-log") + 1]).open("a") as events:
        for event in answer.get("events", []):
            events.write(json.dumps(event) + "\n")
if "--save-plan" in arguments and "plan" in answer:
    plan = {"resourcePlans": answer["plan"]}
    Path(arguments[arguments.index("--save-plan") + 1]).write_text(json.dumps(plan))
(answers / "started").touch()
time.sleep(answer.get("sleep", 0))
if answer.get("killed"):
    os.kill(os.getpid(), signal.SIGKILL)
if command == "stack init":
    state = Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://")) / ".pulumi" / "stacks" / "berth"
    state.mkdir(parents=True, exist_ok=True)
    (state / f"{stack}.json").write_text("{}")
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("code", 0))
