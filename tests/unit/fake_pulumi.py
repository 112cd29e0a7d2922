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
# A tag's value is as long as it likes.
command = " ".join(words[:4])
if command == "version":
    print("v3.276.0")
    sys.exit(0)
ours = ("PULUMI_", "BERTH_", "NO_COLOR", "PATH")
stack = arguments[arguments.index("--stack") + 1] if "--stack" in arguments else ""
with (answers / "calls.jsonl").open("a") as log:
    note = {"command": command, "arguments": arguments, "cwd": str(Path.cwd())}
    note["environment"] = {k: v for k, v in os.environ.items() if k.startswith(ours)}
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
kept = Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://")) / ".pulumi"
if command == "cancel":
    for lock in (kept / "locks" / "organization" / "berth" / stack).glob("*.json"):
        lock.unlink()
if command == "stack init":
    state = kept / "stacks" / "berth"
    state.mkdir(parents=True, exist_ok=True)
    (state / f"{stack}.json").write_text('{"version": 3, "checkpoint": {}}')
if words[:2] == ["stack", "tag"] and not prepared.exists():
    tags = answers / f"tags@{stack}.json"
    known = json.loads(tags.read_text()) if tags.exists() else {}
    if words[2] == "set":
        tags.write_text(json.dumps({**known, words[3]: words[4]}))
    elif words[3] in known:
        answer = {"out": f"{known[words[3]]}\n"}
    else:
        answer = {"err": f"error: stack tag '{words[3]}' not found for stack '{stack}'\n", "code": 255}
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("code", 0))
