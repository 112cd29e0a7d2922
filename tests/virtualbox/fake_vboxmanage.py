"""A VBoxManage that keeps machines, disks and networks in a file, as far as the scripts of Berth use them.

It writes down every command that changes something. With FAKE_KILL it takes its whole session with it after the first.
"""

import json
import os
import signal
import sys

# It starts some hundred times, and importing pathlib would take most of that.
# ruff: noqa: PTH103, PTH108, PTH110, PTH123
HOME = os.environ["FAKE_VIRTUALBOX"]
WARNING = "WARNING: The character device /dev/vboxdrv does not exist."


def option(words: list[str], name: str, default: str = "") -> str:
    return words[words.index(name) + 1] if name in words else default


def fail(text: str) -> None:
    print(f"VBoxManage: error: {text}", file=sys.stderr)
    sys.exit(1)


def machine(state: dict, name: str) -> dict[str, str]:
    found = state["machines"].get(name)
    if found is None:
        fail(f"Could not find a registered machine named '{name}'")
    return found


def disk(state: dict, path: str) -> None:
    """Known from now on, as every medium that VirtualBox opens."""
    if not os.path.exists(path):
        fail(f"Could not find file for the medium '{path}' (VERR_FILE_NOT_FOUND)")
    state["disks"].setdefault(path, 0)


def ask(state: dict, words: list[str]) -> bool:
    """What changes nothing; False for everything else."""
    match words:
        case ["--version"]:
            print(os.environ.get("FAKE_VERSION", "7.2.22_Debianr175245"))
        case ["showvminfo", name, "--machinereadable"]:
            for key, value in machine(state, name).items():
                quoted = f'"{key}"' if key.startswith("SATA") else key
                print(f"{quoted}={value}" if value.isdigit() else f'{quoted}="{value}"')
        case ["showmediuminfo", "disk", path]:
            disk(state, path)
            if not (text := read(path)).isdigit():
                fail("VERR_NOT_SUPPORTED")
            print(f"UUID:           1\nCapacity:       {text} MBytes\nSize on disk:   2 MBytes")
        case ["natnetwork", "list"]:
            print("NAT Networks:\n")
            for name, network in state["networks"].items():
                print(f"Name:         {name}\nEnabled:      Yes\nNetwork:      {network['subnet']}\nDHCP Server:  No")
                print("\n".join(["Port-forwarding (ipv4)", *(f"        {rule}" for rule in network["rules"])]))
                print(f"loopback mappings (ipv4)\n        {network['loopback']}\n")
        case _:
            return False
    return True


def change(state: dict, words: list[str]) -> None:
    name = words[1]
    match words[0]:
        case "createvm":
            name = option(words, "--name")
            folder = f"{option(words, '--basefolder')}/{name}"
            os.makedirs(folder, exist_ok=True)
            write(f"{folder}/{name}.vbox", "")
            state["machines"][name] = {"name": name, "VMState": "poweroff", "memory": "1024", "cpus": "1"}
        case "registervm":
            name = name.rsplit("/", 1)[-1].removesuffix(".vbox")
            state["machines"][name] = {"name": name, "VMState": "poweroff"}
        case "modifyvm":
            if machine(state, name)["VMState"] == "running":
                fail("The machine is already locked for a session")
            for key, value in zip(words[2::2], words[3::2], strict=True):
                machine(state, name)[key[2:].replace("usbehci", "ehci").replace("usbxhci", "xhci")] = value
        case "storagectl":
            machine(state, name)["storagecontrollername0"] = "SATA"
        case "storageattach":
            medium = option(words, "--medium")
            machine(state, name)[f"SATA-{option(words, '--port')}-0"] = medium
        case "createmedium":
            path = option(words, "--filename")
            if path in state["disks"] or os.path.exists(path):
                fail("already exists")
            write(path, option(words, "--size"))
            state["disks"][path] = 0
        case "modifymedium":
            write(words[2], option(words, "--resize"))
        case "closemedium":
            if words[2] not in state["disks"]:
                fail("not known")
            if any(words[2] in known.values() for known in state["machines"].values()):
                fail("Cannot close medium: it is still attached")
            del state["disks"][words[2]]
        case "startvm":
            machine(state, name)["VMState"] = "running"
        case "controlvm":
            ends = {"acpipowerbutton": os.environ.get("FAKE_ACPI", "poweroff"), "resume": "running"}
            machine(state, name)["VMState"] = ends.get(words[2], "poweroff")
        case "unregistervm":
            for path in (
                value for key, value in machine(state, name).items() if key.startswith("SATA-0") and value != "none"
            ):
                os.unlink(path)
            del state["machines"][name]
        case "natnetwork":
            networks(state, words)


def networks(state: dict, words: list[str]) -> None:
    name = option(words, "--netname")
    if words[1] == "remove":
        del state["networks"][name]
        return
    network = state["networks"].setdefault(name, {"subnet": "", "rules": [], "loopback": "127.0.0.1=2"})
    network["subnet"] = option(words, "--network", network["subnet"])
    if "delete" in words:
        network["rules"] = [rule for rule in network["rules"] if rule.split(":")[0] != words[-1]]
    elif "--port-forward-4" in words:
        network["rules"].append(option(words, "--port-forward-4"))


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def write(path: str, text: str, how: str = "w") -> None:
    with open(path, how) as file:
        file.write(text)


def main(words: list[str]) -> None:
    file, log = f"{HOME}/state.json", f"{HOME}/commands"
    state = json.loads(read(file)) if os.path.exists(file) else {"machines": {}, "disks": {}, "networks": {}}
    print(WARNING)
    if ask(state, words):
        write(file, json.dumps(state))
        return
    write(log, " ".join(words) + "\n", "a")
    change(state, words)
    write(file, json.dumps(state))
    if "FAKE_KILL" in os.environ:
        os.killpg(0, signal.SIGKILL)


main(sys.argv[1:])
