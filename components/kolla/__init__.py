"""OpenStack Kolla: what it is told, and the resources that run it."""
