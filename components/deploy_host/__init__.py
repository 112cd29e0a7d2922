"""What the deploy host itself needs: the way into the nodes, trust in the registry, its name."""

from components.deploy_host.component import DeployHost, DeployHostArgs

__all__ = ["DeployHost", "DeployHostArgs"]
