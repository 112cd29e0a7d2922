"""Berth's table of contents: settings -> nodes -> Docker -> object store -> registry -> Kolla -> outputs."""

import pulumi

from components.accounts.component import Accounts, AccountsArgs
from components.cache.component import Caches, CachesArgs
from components.certificates.component import CertificateAuthority
from components.certificates.mirror_identity import MirrorIdentity
from components.deploy_host.component import DeployHost, DeployHostArgs
from components.docker_daemon.args import DockerDaemonsArgs
from components.docker_daemon.component import DockerDaemons
from components.etcd.args import EtcdArgs
from components.etcd.component import Etcd
from components.firewall.args import FirewallArgs
from components.firewall.component import Firewall
from components.garbage_collection.args import GarbageCollectionArgs
from components.garbage_collection.component import GarbageCollection
from components.kolla.args import KollaArgs
from components.kolla.component import Kolla
from components.lab_upstream.component import LabUpstream, LabUpstreamArgs
from components.lib.image_references import Images
from components.load_balancer.args import LoadBalancerArgs
from components.load_balancer.component import LoadBalancer
from components.nodes.args import NodesArgs
from components.nodes.component import Nodes
from components.object_store.args import ObjectStoreArgs
from components.object_store.bucket import RegistryBucket, RegistryBucketArgs
from components.object_store.component import ObjectStore
from components.registry.args import RegistryArgs
from components.registry.component import Registry
from components.registry_client.args import RegistryClientsArgs
from components.registry_client.component import RegistryClients
from components.seed_registry.component import SeedRegistry, SeedRegistryArgs
from components.swarm.args import SwarmArgs, SwarmPruneArgs
from components.swarm.component import Swarm, SwarmPrune
from config.load import load

settings = load()
images = Images.of(settings)

authority = CertificateAuthority("ca", settings, "CA", outlives_services=True)
balancer_authority = CertificateAuthority("balancer-ca", settings, "balancers")
nodes = Nodes("nodes", NodesArgs(settings, images))
deploy_host = DeployHost("deploy-host", DeployHostArgs(settings, nodes, authority))
seed = SeedRegistry("seed", SeedRegistryArgs(settings, nodes, images, deploy_host))
upstream = LabUpstream("upstream", LabUpstreamArgs(settings, nodes, images, authority))
prune = SwarmPrune("swarm-prune", SwarmPruneArgs(settings, nodes))
daemons = DockerDaemons("docker", DockerDaemonsArgs(settings, nodes, deploy_host, authority, prune.resources))
Swarm("swarm", SwarmArgs(settings, nodes, daemons, prune.join_tokens))
Etcd("etcd", EtcdArgs(settings, nodes, authority))
accounts = Accounts("users", AccountsArgs(settings))
mirror = MirrorIdentity("mirror", settings)
firewall = Firewall("firewall", FirewallArgs(settings, nodes))
store = ObjectStore(
    "object-store", ObjectStoreArgs(settings, nodes, daemons, images, authority, deploy_host, seed, firewall)
)
balancer = LoadBalancer(
    "balancer",
    LoadBalancerArgs(settings, nodes, daemons, images, authority, balancer_authority, accounts, mirror, seed, firewall),
)
clients = RegistryClients(
    "clients", RegistryClientsArgs(settings, nodes, daemons, authority, accounts, mirror, balancer)
)
bucket = RegistryBucket("bucket", RegistryBucketArgs(settings, nodes, store, balancer, deploy_host))
registry = Registry("registry", RegistryArgs(settings, nodes, daemons, images, authority, bucket, balancer, seed))
caches = Caches("cache", CachesArgs(settings, nodes, daemons, images, authority, bucket, balancer, seed))
GarbageCollection(
    "collector", GarbageCollectionArgs(settings, nodes, daemons, images, authority, bucket, after=seed.container)
)
kolla = Kolla("kolla", KollaArgs(settings, nodes, daemons, authority, accounts, serving=(registry, caches, clients)))

pulumi.export("registry", f"{settings.registry.name}:{settings.registry.port}")
pulumi.export("registry_ca", authority.certificate)
pulumi.export("registry_users", accounts.passwords)
pulumi.export("nodes", nodes.summary())
pulumi.export("node_access", nodes.access())
pulumi.export("object_store", f"https://{settings.store_endpoint}")
if settings.virtualbox:
    pulumi.export("forwarded_object_store", f"https://{settings.store_from_deploy_host}")
pulumi.export("images", images.pins())
pulumi.export("image_recipes", images.recipes())
pulumi.export("kolla", kolla.access)
pulumi.export("promoted", settings.pins.repositories if settings.pins else {})
