"""docker and curl of one node, as far as the stage's scripts use them; the swarm is a file.

In the file: `own` (what `docker info` has: LocalNodeState, ControlAvailable, NodeID, Cluster.ID, Managers, Error,
DockerRootDir), `nodes` (id, name, state, manager, machine, labels, tasks), `networks` (by name: subnet, encrypted,
attachable, stack), `refused` (what a command fails with), `done` (every command that changes something).
"""

import json
import sys

# It starts some hundred times, and importing pathlib would take most of that.


def curl(state, words):
    verb = words[-1].rpartition("/")[2]
    body = json.load(sys.stdin)
    if verb in state["refused"]:
        print(state["refused"][verb] + "503", end="")
        return
    state["done"].append([verb, body])
    state["own"] |= {"LocalNodeState": "active", "NodeID": "own", "Cluster.ID": "swarm"}
    if verb == "init":
        state["own"]["ControlAvailable"] = "true"
    print("200", end="")


def docker(state, words):
    match words:
        case ["info", "--format", text]:
            print(state["own"].get(text.strip("{}").removeprefix(".Swarm.").removeprefix("."), ""))
        case ["node", *rest]:
            node(state, rest)
        case ["network", *rest]:
            network(state, rest)
        case ["swarm", "join-token", "--quiet", role]:
            print(f"SWMTKN-{role}")
        case ["swarm", "join-token", "--rotate", "--quiet", role]:
            state["done"].append(f"rotate {role}")
        case ["swarm", "leave", "--force"]:
            state["done"].append("leave")
            state["own"]["LocalNodeState"] = "inactive"
        case _:
            sys.exit(f"docker: {words}")


def called(state, key):
    for one in state["nodes"]:
        if one["id"] == key:
            return one
    sys.exit(f"Error: No such node: {key}")


def node(state, words):
    if words[0] in state["refused"]:
        sys.exit(state["refused"][words[0]])
    match words:
        case ["ls", *rest]:
            print("\n".join(one["id"] for one in state["nodes"]) if rest else "a table")
            return
        case ["inspect", "--format", text, *keys]:
            for key in keys:
                print(shown(called(state, key), text))
            return
        case ["inspect", key]:
            called(state, key)
            return
        case ["ps", key, *_]:
            print("\n".join(["Running 2 minutes ago"] * called(state, key)["tasks"]))
            return
    state["done"].append(" ".join(["node", *words]))
    one = called(state, words[-1])
    match words[0]:
        case "update" if words[1] == "--availability":
            one["tasks"] = 0
        case "update":
            options = iter(words[1:-1])
            for option in options:
                key, _, value = next(options).partition("=")
                if option == "--label-add":
                    one["labels"][key] = value
                else:
                    del one["labels"][key]
            one["machine"] = one["labels"].get("berth.machine", one["machine"])
        case "promote":
            one["manager"] = "reachable"
        case "demote":
            one["manager"] = "-"
            if one["id"] == state["own"].get("NodeID"):
                state["own"]["ControlAvailable"] = "false"
        case "rm":
            state["nodes"].remove(one)


def shown(one, text):
    if text.startswith("{{.ID}}"):
        return "\t".join([one["id"], one["name"], one["state"], one["manager"], one["machine"]])
    if text == "{{.Status.State}}":
        return one["state"]
    if "ManagerStatus" in text:
        return "" if one["manager"] == "-" else "yes"
    (label,) = [name for name in ("berth.labels", "berth.tokens") if name in text]
    return one["labels"].get(label, "")


def network(state, words):
    known = state["networks"]
    match words:
        case ["ls", *_]:
            print("\n".join(name for name, one in known.items() if one["stack"]))
        case ["inspect", "--format", _, name] | ["inspect", name] if name not in known:
            sys.exit(f"Error response from daemon: network {name} not found")
        case ["inspect", "--format", text, name] if "berth.stack" in text:
            print(known[name]["stack"])
        case ["inspect", "--format", _, name]:
            one = known[name]
            print(one["subnet"], "encrypted" if one["encrypted"] else "", "true" if one["attachable"] else "false")
        case ["inspect", _]:
            pass
        case ["rm" | "create" as verb, *_] if verb in state["refused"]:
            sys.exit(state["refused"][verb])
        case ["rm", name]:
            state["done"].append(f"network rm {name}")
            del known[name]
        case ["create", *options, name]:
            state["done"].append(f"network create {name}")
            known[name] = {
                "subnet": options[options.index("--subnet") + 1],
                "encrypted": "encrypted" in options,
                "attachable": "--attachable" in options,
                "stack": options[options.index("--label") + 1].partition("=")[2],
            }
