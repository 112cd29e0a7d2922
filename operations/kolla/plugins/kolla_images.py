"""`kolla_images.py SHARE FOLDER` prints the images that every host will pull, as JSON: {host: [image, ...]}.

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


def roles(playbook: Path) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(role, group, what must be True or False) of every play that runs a whole role."""
    found = []
    for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
        if "import_playbook" in play:
            found += roles(playbook.with_name(play["import_playbook"]))
            continue
        hosts = play.get("hosts")
        words = [hosts] if isinstance(hosts, str) else list(hosts or [])
        groups = [word for word in words if not word.startswith("&")]
        needs = [pair for word in words if word.startswith("&") for pair in CONDITION.findall(word)]
        names = [role["role"] if isinstance(role, dict) else role for role in play.get("roles") or []]
        for task in play.get("tasks") or []:
            role = task.get("ansible.builtin.import_role") or {}
            names += [] if "tasks_from" in role else [role[key] for key in ("name",) if key in role]
        found += [(name, group, needs) for name in names for group in groups]
    return found


def main(share: Path, folder: Path) -> dict[str, list[str]]:
    """The images of every host."""
    ansible = share / "ansible"
    loader = DataLoader()
    loader.set_basedir(str(ansible))
    filter_loader.add_directory(str(ansible / "filter_plugins"))
    inventory = InventoryManager(loader=loader, sources=[str(folder / "inventory")])
    manager = VariableManager(loader=loader, inventory=inventory)
    extra = dict(loader.load_from_file(str(folder / "globals.yml"), trusted_as_template=True))
    plays = roles(ansible / "site.yml")
    defaults: dict[str, Any] = {}
    for role in {role for role, _, _ in plays}:
        path = ansible / "roles" / role / "defaults" / "main.yml"
        defaults[role] = loader.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}
    result = {}
    for host in inventory.get_hosts():
        groups = {group.name for group in host.get_groups()}
        known = {**manager.get_vars(host=host), **extra}
        images: set[str] = set()
        for role, group, needs in plays:
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
                    images.add(str(templar.template(service["image"])))
        if images:
            result[host.name] = sorted(images)
    return result


def truth(templar: Any, value: Any) -> bool:
    """What Kolla's own filters take for true."""
    return str(templar.template(value)).lower() in ("true", "yes", "1")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
