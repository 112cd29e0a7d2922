"""The whole program under mocks, once per committed stack file: what it registers, and how things hang together."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.lib.host_files import parse
from components.registry.render import DRAIN_SECONDS
from config import stackfile
from operations.preview import policies
from operations.pulumi import values
from tests.program.recorder import ROOT, Recording, run_program

STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def recording(stack: str) -> Recording:
    return run_program(stack, preview=True)


@pytest.fixture(scope="module")
def dev() -> Recording:
    return run_program("dev", preview=True)


def changed_dev(**changes: Any) -> Recording:
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    document["config"].update({f"berth:{key}": value for key, value in changes.items()})
    return run_program("dev", document, preview=True)


def test_the_three_environments_are_committed() -> None:
    assert {"dev", "staging", "prod"} <= set(STACKS)


def test_every_stack_exports_what_others_rely_on(recording: Recording) -> None:
    assert {"registry", "registry_ca", "nodes", "object_store", "images"} <= recording.outputs.keys()


def test_every_committed_stack_keeps_every_rule(stack: str, recording: Recording) -> None:
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    assert recording.of_type("command:remote:Command")
    assert [str(found) for found in policies.violations(recording.resources, stackfile.parse(stack, document))] == []


def test_every_services_container_is_held_in_bounds(recording: Recording) -> None:
    containers = recording.of_type("docker:index/container:Container")
    services = [one for one in containers if any(label["label"] == "berth.service" for label in one.open["labels"])]
    assert {"seed-registry", "balancer-", "object-store-", "registry-"} <= {
        start
        for start in ("seed-registry", "balancer-", "object-store-", "registry-")
        for one in services
        if one.name.startswith(start)
    }
    for one in services:
        given = one.open
        assert given["readOnly"] is True and "no-new-privileges" in given["securityOpts"], one.name
        assert given["memory"] == given["memorySwap"] > 0, one.name
        assert recording.named(f"{one.name.removesuffix('-registry')}-processes"), one.name
        if given.get("pidMode") == "host":
            assert "label=disable" in given["securityOpts"], "Docker adds it, which would be a change for ever"


def test_a_health_check_is_only_asked_of_an_image_that_can_do_it(dev: Recording) -> None:
    foreign = "example.com/it@sha256:" + "0" * 64
    other = changed_dev(images=dict.fromkeys(("registry", "objectStore", "nginx", "keepalived", "cache"), foreign))
    for name in ("registry-node1", "cache-quay-node1", "object-store-node1", "balancer-node1"):
        assert dev.named(name).open["healthcheck"]["tests"][0] == "CMD"
        assert not other.named(name).open.get("healthcheck"), name
    assert other.named("balancer-node1-address").open["healthcheck"], "its script is Berth's, whosever the image"


def test_a_limit_of_the_settings_is_the_containers_and_go_stays_below_it() -> None:
    other = changed_dev(limits={"cache": {"memory": 1000, "processes": 77}})
    cache = other.named("cache-quay-node1").open
    assert cache["memory"] == 1000 and "GOMEMLIMIT=900MiB" in cache["envs"]
    assert other.named("cache-quay-node1-processes").open["create"].endswith(" berth berth-cache-quay 77")
    assert other.named("registry-node1").open["memory"] != 1000


def test_no_secret_is_in_an_environment_or_a_command_line(recording: Recording) -> None:
    for resource in recording.resources:
        visible = json.dumps(
            [resource.inputs.get(key) for key in ("envs", "environment", "command", "create", "delete", "labels")],
            default=str,
        )
        assert "secret-of-" not in visible, resource.name


def test_daemons_are_changed_one_after_the_other(dev: Recording) -> None:
    for before, after in [("node1", "node2"), ("node2", "node3"), ("node3", "node4")]:
        waits = dev.named(f"docker-{after}").dependencies
        assert any(urn.endswith(f"::docker-{before}") for urn in waits), f"{after} does not wait for {before}"


def test_nodes_without_a_service_change_in_batches_after_a_canary() -> None:
    nodes = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]["berth:nodes"]
    light = [{"name": f"light{index}", "address": f"10.77.0.{20 + index}", "roles": []} for index in range(4)]
    recording = changed_dev(nodes=[*nodes, *light], docker={"rollout": {"batchSize": 2}})
    assert "docker-light0" in waits_for(recording, "docker-node1")
    assert {"docker-node4"} <= waits_for(recording, "docker-light1") & waits_for(recording, "docker-light2")
    assert {"docker-light1", "docker-light2"} <= waits_for(recording, "docker-light3")
    providers = {resource.name for resource in recording.of_type("pulumi:providers:docker")}
    assert providers == {f"docker-node{index}-docker" for index in range(1, 5)}


def waits_for(recording: Recording, name: str) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in recording.named(name).dependencies}


def test_each_replica_is_out_of_the_balancers_while_it_is_replaced(
    dev: Recording,
) -> None:
    assert {"registry-node1-out-node1", "registry-node1-out-node2"} <= waits_for(dev, "registry-node1")
    for balancer in ("node1", "node2"):
        assert "registry-node1-ready" in waits_for(dev, f"registry-node1-in-{balancer}")
        assert {"registry-node1-in-node1", "registry-node1-in-node2"} <= waits_for(
            dev, f"registry-node2-out-{balancer}"
        )
    assert {"registry-node2-out-node1", "registry-node2-out-node2"} <= waits_for(dev, "registry-node2")


def test_a_process_of_the_registry_gets_time_to_finish_its_requests(dev: Recording) -> None:
    for name in ("registry-node1", "cache-quay-node1"):
        assert dev.named(name).inputs["destroyGraceSeconds"] > DRAIN_SECONDS


def test_a_caches_second_process_waits_for_its_first(dev: Recording) -> None:
    for upstream in ("docker-hub", "quay"):
        assert f"cache-{upstream}-node1-ready" in waits_for(dev, f"cache-{upstream}-node2")


def test_the_second_balancer_waits_until_the_first_answers(dev: Recording) -> None:
    assert "balancer-node1-ready" in waits_for(dev, "balancer-node2")
    assert "balancer-node1-ready" in waits_for(dev, "balancer-node1-address")


def test_the_object_stores_settings_are_exported_before_a_server_changes(dev: Recording) -> None:
    for node in ("node1", "node2", "node3", "node4"):
        assert "object-store-export" in waits_for(dev, f"object-store-{node}")


def test_another_limit_of_the_object_store_is_preceded_by_an_export(dev: Recording) -> None:
    other = changed_dev(limits={"minio": {"memory": 1024}})
    triggers = [run.named("object-store-export").inputs["triggers"] for run in (dev, other)]
    assert triggers[0] != triggers[1]


def test_no_process_of_the_registry_is_given_the_root_key_of_the_store(dev: Recording) -> None:
    for resource in dev.resources:
        text = json.dumps(resource.inputs, default=str)
        if "secret-of-object-store-root" in text:
            assert resource.name.startswith(("object-store-", "bucket-minio")), resource.name


def bundle_of(recording: Recording, name: str) -> dict[str, str]:
    parsed = parse.parse(recording.named(f"{name}-files").open["stdin"])
    return {entry.path: entry.body for entry in parsed.entries.values()}


def test_replicas_and_caches_accept_clients_of_the_balancers_ca_alone(dev: Recording) -> None:
    processes = [resource.name for resource in dev.resources if resource.name.startswith(("registry-node", "cache-"))]
    configured = [name.removesuffix("-files") for name in processes if name.endswith("-files")]
    assert {"registry-node1", "registry-node2", "cache-quay-node1"} <= set(configured)
    for name in configured:
        files = bundle_of(dev, name)
        (config,) = (yaml.safe_load(body) for path, body in files.items() if path.endswith("/config.yml"))
        (trusted,) = config["http"]["tls"]["clientcas"]
        assert files[trusted].strip() == "balancer-ca-certificate PEM", name


def test_the_balancers_ca_signs_only_a_certificate_per_balancer(dev: Recording) -> None:
    signed = [
        resource.name
        for resource in dev.of_type("tls:index/locallySignedCert:LocallySignedCert")
        if resource.inputs["caCertPem"] == "balancer-ca-certificate PEM\n"
    ]
    assert sorted(signed) == ["balancer-node1-client-certificate", "balancer-node2-client-certificate"]


def test_a_balancer_is_given_no_other_balancers_client_key(dev: Recording) -> None:
    keys = [bundle_of(dev, f"balancer-{node}")["/etc/berth/load-balancer/client.crt"] for node in ("node1", "node2")]
    assert keys[0] != keys[1]


def test_the_stores_access_key_ids_are_drawn_at_random(dev: Recording) -> None:
    environment = bundle_of(dev, "object-store-node1")["/etc/berth/object-store/environment"]
    assert "MINIO_ROOT_USER=secret-of-object-store-root-user" in environment
    for part in ("store", "cache", "collector"):
        assert dev.named(f"bucket-{part}-user").inputs["name"] == f"secret-of-bucket-{part}-access-key"


def test_each_kind_of_process_is_a_user_of_its_own_at_the_store(dev: Recording) -> None:
    users = dev.of_type("minio:index/iamUser:IamUser")
    assert {user.name for user in users} == {"bucket-store-user", "bucket-cache-user", "bucket-collector-user"}
    assert not dev.of_type("minio:index/iamServiceAccount:IamServiceAccount")


def test_a_collector_on_each_registry_node_waits_for_versions(dev: Recording) -> None:
    collectors = [one.name for one in dev.resources if one.name in {f"collector-node{n}" for n in range(1, 5)}]
    assert collectors == ["collector-node1", "collector-node2"]
    for name in collectors:
        assert {"bucket-versioning", "bucket-collector-grant", f"{name}-files"} <= waits_for(dev, name)
    known = [bundle_of(dev, name)["/etc/berth/garbage-collection/config.json"] for name in collectors]
    assert [json.loads(text)["holder"] for text in known] == ["node1", "node2"]
    assert {json.loads(text)["accessKey"] for text in known} == {"secret-of-bucket-collector-access-key"}


def test_only_the_collectors_key_may_destroy_what_was_deleted(dev: Recording) -> None:
    may = {}
    for policy in dev.of_type("minio:index/iamPolicy:IamPolicy"):
        found = json.loads(policy.inputs["policy"])["Statement"]
        may[policy.name] = {one["Effect"] for one in found if "s3:DeleteObjectVersion" in one["Action"]}
    assert may == {
        "bucket-store-policy": {"Deny"},
        "bucket-cache-policy": {"Deny"},
        "bucket-collector-policy": {"Allow"},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"registry": {"garbageCollection": {"enabled": False}}},
        {"images": {"registry": "example.com/it@sha256:" + "0" * 64}},
    ],
)
def test_a_stack_without_collection_keeps_versions_all_the_same(changes: dict[str, Any]) -> None:
    settings = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]["berth:registry"]
    other = changed_dev(**{key: settings | value if key == "registry" else value for key, value in changes.items()})
    assert not [one.name for one in other.resources if one.name.startswith(("collector-", "bucket-collector"))]
    assert other.named("bucket-versioning").open["versioningConfiguration"]["status"] == "Enabled"


def test_no_service_starts_before_every_nodes_rules_are_in_force(dev: Recording) -> None:
    rules = {f"firewall-node{number}" for number in range(1, 5)}
    for name in ("object-store-node4", "balancer-node1", "balancer-node1-address", "balancer-node2"):
        assert rules <= waits_for(dev, name) or "balancer-node1-ready" in waits_for(dev, name), name
    for name in ("registry-node1", "cache-quay-node2"):
        assert "balancer-ready" in waits_for(dev, name), "which waits for the balancers"
    for one in rules:
        assert not rules & waits_for(dev, one), "all nodes at once"


def test_another_node_changes_the_rules_of_those_that_let_it_in() -> None:
    nodes = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]["berth:nodes"]
    before = {resource.name: resource.inputs for resource in run_program("dev", preview=True).resources}
    more = changed_dev(nodes=[*nodes, {"name": "node5", "address": "10.77.0.15", "roles": []}])
    differ = {one.name for one in more.resources if one.name in before and before[one.name] != one.inputs}
    assert {name for name in differ if name.startswith("firewall")} == {"firewall-node1", "firewall-node2"}
    assert not any(one.name == "firewall-node5" for one in more.resources), "nothing of Berth's listens there"


def test_who_keeps_outsiders_out_by_other_means_gets_no_rules() -> None:
    assert not any(one.name.startswith("firewall-") for one in changed_dev(firewall="external").resources)


def test_object_store_servers_do_not_wait_for_each_other(dev: Recording) -> None:
    for node in ("node1", "node2", "node3", "node4"):
        waits = dev.named(f"object-store-{node}").dependencies
        others = [urn for urn in waits if "::object-store-node" in urn and f"-{node}" not in urn]
        assert others == [], "MinIO's servers must start and change together"


def test_the_bucket_waits_for_quorum_and_the_balancer(dev: Recording) -> None:
    waits = " ".join(dev.named("bucket-bucket").dependencies)
    assert "::object-store-ready" in waits
    assert "::balancer-ready" in waits


def test_what_is_on_a_lab_node_goes_with_it(dev: Recording) -> None:
    on_nodes = [*dev.of_type("command:remote:Command"), *dev.of_type("docker:index/remoteImage:RemoteImage")]
    for resource in on_nodes:
        assert "::nodes-node" in resource.deleted_with, resource.name


def test_data_outside_a_lab_survives_a_destroy() -> None:
    prod = run_program("prod", preview=True)
    assert not any(resource.deleted_with for resource in prod.resources)


def test_a_changed_log_option_changes_the_daemons_bundles_and_nothing_else(dev: Recording) -> None:
    other = changed_dev(docker={"logOptions": {"max-size": "20m"}})
    before = {resource.name: resource.inputs for resource in dev.resources}
    changed = [resource.name for resource in other.resources if before[resource.name] != resource.inputs]
    assert sorted(changed) == ["docker-node1", "docker-node2", "docker-node3", "docker-node4"]


def test_resource_count_stays_in_the_hundreds_for_a_hundred_nodes() -> None:
    nodes = [
        {
            "name": f"node{index}",
            "address": f"10.90.0.{index + 10}",
            "provider": "lab",
            "roles": {0: ["load-balancer", "registry", "object-store"], 1: ["registry", "object-store"]}.get(
                index, ["object-store"] if index < 4 else []
            ),
        }
        for index in range(100)
    ]
    recording = changed_dev(nodes=nodes, loadBalancer={"address": "10.90.0.10"})
    assert len(recording.resources) < 900


@pytest.fixture(scope="module")
def kolla() -> Recording:
    return run_program("kolla", preview=True)


def test_kollas_steps_run_one_after_the_other_once_nodes_are_prepared(kolla: Recording) -> None:
    assert {"kolla-control1", "kolla-control2", "kolla-control3"} <= waits_for(kolla, "kolla-push")
    for before, step in itertools.pairwise(["push", "images", "prechecks", "pull", "deploy", "verify"]):
        assert f"kolla-{before}" in waits_for(kolla, f"kolla-{step}")
    assert not any(resource.name == "kolla-data1" for resource in kolla.resources), "it has none of Kolla's roles"


def test_kolla_waits_until_the_registry_serves_and_every_node_is_logged_in(kolla: Recording) -> None:
    waits = waits_for(kolla, "kolla-push")
    assert any(name.startswith("registry-") for name in waits) and any(name.startswith("clients-") for name in waits)


def test_a_preview_shows_what_kolla_is_told_and_none_of_its_secrets(kolla: Recording) -> None:
    deploy = kolla.named("kolla-deploy")
    shown = deploy.open["environment"]
    assert "enable_keystone: true" in shown["KOLLA_GLOBALS"] and "control1" in shown["KOLLA_INVENTORY"]
    assert json.loads(deploy.open["stdin"])["secret"] == "secret-of-kolla-passwords"
    assert values.shown(values.read(deploy.inputs["stdin"])) == values.HIDDEN


def test_images_that_were_brought_by_hand_are_deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "brought").write_text("0123456789ab")
    monkeypatch.setattr("config.paths.kolla_brought_file", lambda stack: tmp_path / "brought")
    deploy = run_program("kolla", preview=True).named("kolla-deploy")
    assert deploy.open["environment"]["KOLLA_BROUGHT"] == "0123456789ab"


def test_what_refuses_to_let_kolla_go_is_the_first_to_be_asked(kolla: Recording) -> None:
    assert "kolla-verify" in waits_for(kolla, "kolla-guard")
    for name in ("kolla-guard", "kolla-teardown"):  # a deployment that failed half-way has no guard yet
        ending = kolla.named(name)
        assert ending.deleted_with and "berth:kolla.allowDestroy is false" in ending.open["delete"]
    document = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    document["config"]["berth:kolla"]["allowDestroy"] = True
    allowed = run_program("kolla", document, preview=True)
    assert allowed.named("kolla-guard").open["delete"] == "true"
    assert "step destroy" in allowed.named("kolla-teardown").open["delete"]


def test_a_stack_without_kolla_has_nothing_of_it(dev: Recording) -> None:
    assert [resource.name for resource in dev.resources if resource.name.startswith("kolla-")] == []


def test_a_members_turn_waits_for_the_one_before_and_for_everybodys_files(dev: Recording) -> None:
    assert {"etcd-node1-files", "etcd-node2-files", "etcd-node3-files"} <= waits_for(dev, "etcd-node1")
    assert "etcd-node1" in waits_for(dev, "etcd-node2")
    assert "etcd-node2" in waits_for(dev, "etcd-node3")
    assert "etcd-node3" in waits_for(dev, "etcd-converged")


def test_a_member_is_told_whether_it_was_ever_there_before(dev: Recording) -> None:
    inputs = dev.named("etcd-node1").inputs
    assert inputs["create"].endswith(" first")
    assert inputs["update"].endswith(" again")


def test_managers_join_one_after_the_other_on_daemons_that_are_ready(dev: Recording) -> None:
    assert "docker-node2" in waits_for(dev, "swarm-node2")
    assert {"swarm-node2", "docker-node3"} <= waits_for(dev, "swarm-node3")
    assert "swarm-node3" in waits_for(dev, "swarm-node4")
    assert {"swarm-node2", "swarm-node3", "swarm-node4"} <= waits_for(dev, "swarm-converged")


def test_who_leaves_the_swarm_has_left_before_any_daemon_is_touched(dev: Recording) -> None:
    for node in ("node1", "node2", "node3", "node4"):
        assert {f"swarm-prune-node{n}" for n in (2, 3, 4)} <= waits_for(dev, f"docker-{node}")


def test_what_managers_print_is_a_secret_and_not_logged(dev: Recording) -> None:
    for name in ("swarm-prune-node2", "swarm-node2", "swarm-node4"):
        resource = dev.named(name)
        assert "stdout" in resource.secrets
        assert resource.inputs["logging"] == "stderr"


def test_containers_outlive_their_daemon_or_come_back_by_themselves(dev: Recording) -> None:
    for node, keeps in (("node1", True), ("node2", False), ("node3", False), ("node4", False)):
        container = dev.named(f"object-store-{node}").inputs
        assert container["restart"] == ("unless-stopped" if keeps else "always")
        stdin = dev.named(f"docker-{node}").inputs["stdin"]
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        assert f'"live-restore": {str(keeps).lower()}' in text.replace(chr(92), "")


def test_a_stack_without_the_roles_has_nothing_of_etcd_and_swarm() -> None:
    nodes = [
        {"name": f"node{n}", "address": f"10.77.0.1{n}", "roles": [*roles, "object-store"]}
        for n, roles in enumerate((["load-balancer", "registry"], [], [], []), 1)
    ]
    recording = changed_dev(nodes=nodes, loadBalancer={"address": "10.77.0.11"})
    names = [one.name for one in recording.resources if one.name.startswith(("etcd", "swarm"))]
    assert sorted(names) == ["etcd", "swarm", "swarm-prune"], "the stages, empty"
