"""`berth` on a checkout of a test's own: nothing is installed for it, and no network is in its way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from operations import cli
from operations.host import doctor, prepare
from operations.teardown import deploy_host
from operations.workspace import Workspace

if __name__ == "__main__":
    root, home = map(Path, sys.argv[1:3])
    workspace = Workspace(root, home, os.environ["PULUMI_BACKEND_URL"])
    prepare.run = lambda *_, **__: None
    Workspace.current = classmethod(lambda *_: workspace)
    doctor.ROUTES = home / "no-routes"
    deploy_host.STATE = home / "state-of-the-host"
    cli.main(sys.argv[3:])
