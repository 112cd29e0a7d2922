"""OpenStack Kolla from the deploy host: its environment, its inputs, its runs."""
