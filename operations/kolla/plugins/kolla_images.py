"""`kolla_images.py SHARE FOLDER` prints what every host will pull, as JSON: {host: {image: tag of its play}}.

Asks Ansible itself, without a connection to any host: site.yml says which roles run where, each role's defaults which
images they have. Runs inside Ansible's own environment, where nothing of Berth is importable.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager

CONDITION = re.compile(r"(enable_[a-z_]+?)_(True|False)")


def roles(playbook: Path) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    """(role, group, what must be True or False, tag) of every play that runs a whole role."""
    found = []
    for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
        if "import_playbook" in play:
            found += roles(playbook.with_name(play["import_playbook"]))
            continue
        hosts = play.get("hosts")
        words = [hosts] if isinstance(hosts, str) else list(hosts or [])
        groups = [word for word in words if not word.startswith("&")]
        needs = [pair for word in words if word.startswith("&") for pair in CONDITION.findall(word)]
        listed = [role if isinstance(role, dict) else {"role": role} for role in play.get("roles") or []]
        names = [(role["role"], tag_of(role) or tag_of(play) or "") for role in listed]
        for task in play.get("tasks") or []:
            role = task.get("ansible.builtin.import_role") or {}
            whole = "name" in role and "tasks_from" not in role
            names += [(role["name"], tag_of(task) or tag_of(play) or "")] if whole else []
        found += [(name, group, needs, tag) for name, tag in names for group in groups]
    return found


def tag_of(part: dict[str, Any]) -> str | None:
    """The last of its tags, which is the narrowest."""
    tags = part.get("tags") or []
    return tags if isinstance(tags, str) else next(iter(tags[::-1]), None)


def main(share: Path, folder: Path) -> dict[str, dict[str, str]]:
    """The images of every host, and the tag of each."""
    ansible = share / "ansible"
    loader = DataLoader()
    loader.set_basedir(str(ansible))
    filter_loader.add_directory(str(ansible / "filter_plugins"))
    inventory = InventoryManager(loader=loader, sources=[str(folder / "inventory")])
    manager = VariableManager(loader=loader, inventory=inventory)
    extra = dict(loader.load_from_file(str(folder / "globals.yml"), trusted_as_template=True))
    plays = roles(ansible / "site.yml")
    defaults: dict[str, Any] = {}
    for role in {role for role, _, _, _ in plays}:
        path = ansible / "roles" / role / "defaults" / "main.yml"
        defaults[role] = loader.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}
    result = {}
    for host in inventory.get_hosts():
        groups = {group.name for group in host.get_groups()}
        known = {**manager.get_vars(host=host), **extra}
        images: dict[str, str] = {}
        for role, group, needs, tag in plays:
            if group not in groups and group not in ("all", "baremetal"):
                continue
            variables = {**(defaults[role] or {}), **known}
            templar = Templar(loader=loader, variables=variables)
            if any(truth(templar, trust_as_template(f"{{{{ {name} }}}}")) != (want == "True") for name, want in needs):
                continue
            services = variables.get(role.replace("-", "_") + "_services") or {}
            for service in services.values() if isinstance(services, dict) else ():
                here, own = service.get("host_in_groups"), str(service.get("group"))
                # A group that only the run itself makes has the play's own hosts.
                placed = truth(templar, here) if here is not None else own in {*groups, "all"} or "{{" in own
                if placed and truth(templar, service.get("enabled", False)):
                    images[str(templar.template(service["image"]))] = tag
        if images:
            result[host.name] = dict(sorted(images.items()))
    return result


def truth(templar: Any, value: Any) -> bool:
    """What Kolla's own filters take for true."""
    return str(templar.template(value)).lower() in ("true", "yes", "1")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
