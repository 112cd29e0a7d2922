"""etcdctl, curl, systemctl and journalctl of one node, as far as the stage's scripts use them; the cluster is a file.

In the file: `own` (name, client, peer, environment of the next start, proc and data directories), `runs` (whether
the unit does), `members` (as `etcdctl member list` has them), `healthy` (client URLs that answer), `broken` (a start
leads to no health), `refused` (what a word of etcdctl fails with), `done` (every command that changes something).
"""

import os
import sys

# It starts some hundred times, and importing pathlib would take most of that.
# ruff: noqa: PTH103, PTH118, PTH123
FIELDS = ("id", "status", "name", "peer", "client", "learner")


def answers(state, url):
    return url in state["healthy"]


def curl(state, words):
    url, _, _ = words[-1].rpartition("/")
    if not answers(state, url):
        sys.exit(7)
    print('{"health":"true","etcdserver":"3.5.16"}')


def etcdctl(state, words):
    words = [word for word in words if not word.startswith(("--dial-timeout", "--command-timeout"))]
    if not answers(state, os.environ["ETCDCTL_ENDPOINTS"]):
        sys.exit("Error: context deadline exceeded")
    verb = words[1]
    if verb == "list":
        for member in state["members"]:
            print(", ".join(member[field] for field in FIELDS))
        return
    if verb in state["refused"]:
        sys.exit(state["refused"][verb])
    state["done"].append(" ".join(["etcdctl", *words]))
    if verb == "add":
        peer = words[-1].removeprefix("--peer-urls=")
        new = dict.fromkeys(FIELDS, "") | {"id": "new", "status": "unstarted", "peer": peer, "learner": "true"}
        state["members"].append(new)
        print(f'Member new added to cluster 1\n\nETCD_NAME="{words[2]}"\nETCD_INITIAL_CLUSTER_STATE="existing"')
    elif verb == "remove":
        state["members"] = [member for member in state["members"] if member["id"] != words[2]]
    elif verb == "promote":
        (found,) = [member for member in state["members"] if member["id"] == words[2]]
        found["learner"] = "false"


def systemctl(state, words):
    own = state["own"]
    match words:
        case ["is-active", "--quiet", _]:
            sys.exit(0 if state["runs"] else 3)
        case ["is-active", _]:
            print("active" if state["runs"] else "inactive")
            sys.exit(0 if state["runs"] else 3)
        case ["show", "-p", "MainPID", "--value", _]:
            print(1 if state["runs"] else 0)
        case ["stop", _] | ["disable", *_]:
            state["done"].append("systemctl stop")
            state["runs"] = False
            state["healthy"] = [url for url in state["healthy"] if url != own["client"]]
        case ["start" | "restart", "--no-block", _]:
            state["done"].append(f"systemctl {words[0]}")
            begin(state)
        case ["reset-failed" | "enable", *_]:
            pass
        case _:
            sys.exit(f"systemctl: {words}")


def begin(state):
    own = state["own"]
    state["runs"] = True
    os.makedirs(os.path.join(own["proc"], "1"), exist_ok=True)
    with open(os.path.join(own["proc"], "1", "environ"), "w") as file:
        file.write("\0".join(own["environment"]) + "\0")
    os.makedirs(os.path.join(own["data"], "member"), exist_ok=True)
    for member in state["members"]:
        if member["peer"] == own["peer"]:
            member.update(status="started", name=own["name"], client=own["client"])
    if not state["broken"] and not answers(state, own["client"]):
        state["healthy"].append(own["client"])


def journalctl(state, words):
    print("etcd's own words")
