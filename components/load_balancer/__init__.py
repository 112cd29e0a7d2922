"""nginx: the registry's one name, its certificate and its password check; and the object store's one endpoint."""

from components.load_balancer.args import LoadBalancerArgs
from components.load_balancer.component import LoadBalancer

__all__ = ["LoadBalancer", "LoadBalancerArgs"]
