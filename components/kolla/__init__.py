"""OpenStack Kolla: its inputs, and the resources that run it."""
