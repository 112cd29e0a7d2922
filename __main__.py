"""Berth's table of contents: settings -> nodes -> Docker -> object store -> registry -> Kolla -> outputs."""

import pulumi

from components.accounts import Accounts, AccountsArgs
from components.cache import Caches, CachesArgs
from components.certificates import CertificateAuthority
from components.deploy_host import DeployHost, DeployHostArgs
from components.docker_daemon import DockerDaemons, DockerDaemonsArgs
from components.etcd import Etcd, EtcdArgs
from components.firewall import Firewall, FirewallArgs
from components.images import Images
from components.kolla import Kolla, KollaArgs
from components.lab_upstream import LabUpstream, LabUpstreamArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.nodes import Nodes, NodesArgs
from components.object_store import ObjectStore, ObjectStoreArgs, RegistryBucket, RegistryBucketArgs
from components.registry import Registry, RegistryArgs
from components.registry_client import MirrorIdentity, RegistryClients, RegistryClientsArgs
from components.seed_registry import SeedRegistry, SeedRegistryArgs
from components.swarm import RollCall, RollCallArgs, Swarm, SwarmArgs
from config.load import load

settings = load()
images = Images.of(settings)

authority = CertificateAuthority("ca", settings, "CA", outlives_services=True)
balancer_authority = CertificateAuthority("balancer-ca", settings, "balancers")
nodes = Nodes("nodes", NodesArgs(settings, images))
deploy_host = DeployHost("deploy-host", DeployHostArgs(settings, nodes, authority))
seed = SeedRegistry("seed", SeedRegistryArgs(settings, nodes, images, deploy_host))
upstream = LabUpstream("upstream", LabUpstreamArgs(settings, nodes, images, authority))
roll_call = RollCall("swarm-roll-call", RollCallArgs(settings, nodes))
daemons = DockerDaemons("docker", DockerDaemonsArgs(settings, nodes, deploy_host, authority, roll_call))
Swarm("swarm", SwarmArgs(settings, nodes, daemons, roll_call))
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
