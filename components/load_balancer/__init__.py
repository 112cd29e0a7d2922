"""The front: nginx, which is the registry's one name and the object store's one endpoint, and its virtual address."""

from components.load_balancer.args import LoadBalancerArgs
from components.load_balancer.component import LoadBalancer
from components.load_balancer.pool import Pool

__all__ = ["LoadBalancer", "LoadBalancerArgs", "Pool"]
