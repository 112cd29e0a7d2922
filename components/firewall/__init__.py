"""Who may reach the ports of Berth's services on a node: one table of nftables, beside everybody else's rules."""

from components.firewall.args import FirewallArgs
from components.firewall.component import Firewall

__all__ = ["Firewall", "FirewallArgs"]
