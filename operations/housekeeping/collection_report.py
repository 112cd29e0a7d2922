"""What a garbage collector answers, for people: its plan, what it did, its history; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

Answer = Mapping[str, Any]
PHASES = {
    "mark": "marked",
    "sweep": "removed",
    "purge": "freed",
    "sweeping": "removal is not checked yet",
    "refused": "refused",
    "failed": "failed",
}
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Bytes with three digits, as `docker images` writes them."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {_UNITS[unit]}"


def progress(event: Answer) -> str:
    """One line of what a run is doing."""
    match event.get("step"):
        case "settling":
            return f"Waiting {event['seconds']:.0f} s for requests under way ..."
        case "listed":
            return f"{event['blobs']} blobs and {event['manifests']} manifests are listed."
        case step:
            return f"{str(step).capitalize()}: {event.get('done', 0)} of {event.get('of', 0)}."


def plan(answer: Answer) -> list[str]:
    """What a run would do."""
    removed = f"{answer['condemned']} blobs, {size(answer['condemnedBytes'])}"
    purged = f"{answer['purged']} blobs, {size(answer['purgedBytes'])}"
    whole = f"{answer['blobs']} blobs, {size(answer['bytes'])}"
    return [
        f"In the store:      {whole}, in {answer['repositories']} repositories",
        f"To remove now:     {removed}",
        f"To remove later:   {_waiting(answer)}",
        f"To bring back:     {answer['undeleted']} blobs that are needed again",
        f"To free for good:  {purged}, removed long enough ago",
        *([f"It would be refused: {answer['wouldRefuse']}"] if answer.get("wouldRefuse") else []),
    ]


def done(answer: Answer, stack: str) -> list[str]:
    """What a run did."""
    found = [
        f"Removed:       {answer['deleted']} blobs, {size(answer['condemnedBytes'] if answer['deleted'] else 0)}",
        f"Later:         {_waiting(answer)}",
        f"Brought back:  {answer['undeleted']} blobs that are needed again",
        f"Freed:         {answer['purged']} blobs, {size(answer['purgedBytes'])}",
        f"Kept for undo: {size(answer['reclaimable'])}",
    ]
    if answer["deleted"]:
        of = "" if stack == "dev" else f" --stack {stack}"
        found.append(f"To bring them back: ./berth gc{of} --undo {answer['run']}")
    return found


def undone(answer: Answer) -> list[str]:
    """What an undo did."""
    gone = f", {answer['gone']} were freed before" if answer["gone"] else ""
    return [
        f"{answer['undeleted']} blobs of run {answer['run']} are back{gone}. Later runs remove again what no manifest "
        "needs by then: push what is to stay."
    ]


def _waiting(answer: Answer) -> str:
    return f"{answer['candidates']} blobs, {size(answer['candidateBytes'])}, after their grace period"


def status(answer: Answer) -> Iterator[str]:
    """What is waiting, in sentences."""
    mark, waiting, lock = answer.get("lastMark"), answer.get("candidates"), answer.get("lock")
    if lock:
        yield f"{lock['holder']} is collecting since {_time(lock['since'])}."
    if mark:
        whole = f"{mark['blobs']} blobs, {size(mark['bytes'])}"
        yield f"{_time(mark['time'])}: {whole}, in {mark['repositories']} repositories."
    else:
        yield "Nothing was collected yet."
    if waiting and waiting["blobs"]:
        garbage = f"{waiting['blobs']} blobs, {size(waiting['bytes'])}"
        yield f"Not needed since {_time(waiting['since'])} or later: {garbage}."
    yield f"Kept for undo: {size(answer['reclaimable'])}."


def history(runs: Sequence[Answer]) -> Table:
    """The last runs, the newest first."""
    table = Table("run", "by", "result", "removed", "brought back", "freed", "remark")
    for run in runs:
        removed = f"{run['deleted']}, {size(run['condemnedBytes'])}" if run["deleted"] else "0"
        freed = f"{run['purged']}, {size(run['purgedBytes'])}" if run["purged"] else "0"
        remark = "undone" if run.get("undone") else str(run.get("reason") or "")
        phase = PHASES.get(run["phase"], run["phase"])
        table.add_row(*map(Text, (run["run"], run["trigger"], phase, removed, str(run["undeleted"]), freed, remark)))
    return table


def _time(text: str) -> str:
    return f"{text[:19].replace('T', ' ')} UTC"
