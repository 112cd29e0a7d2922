"""OpenStack Kolla's images on their way into a stack's registry and image lock: built on this machine, or copied."""
