"""Who may reach the ports of Berth's services on a node: one table of nftables, beside everybody else's rules."""
