"""The stages, in the order in which a stack comes up.

certificates    the stack's own CA
nodes           the machines
deploy_host     keys, trust and names on the host that runs the program
seed_registry   serves Berth's own images before the registry is there
docker_daemon   Docker on every node: trust, names, settings
accounts        who may push and pull
object_store    four MinIO servers; the registry's bucket
load_balancer   nginx: the one name, the one certificate
registry_client what the nodes' engines need for the registry: login and mirrors
registry        the replicas
etcd            a key-value store, one member changed at a time
swarm           managers, workers and their networks
cache           pull-through caches of registries elsewhere
lab_upstream    the lab's stand-in for those

node_config     what a node's system is installed with, as text; no stage

Shared by them, in `lib`: `host_files` (files on a host over SSH), `service` (a container on a node), `readiness`.
"""
