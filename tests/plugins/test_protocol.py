"""The five providers over real gRPC, from the handshake to the end of a resource."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from plugins.interface import UNKNOWN
from plugins.values import Secret, from_struct, plain, to_struct
from tests.plugins.conftest import Host, Instance, refused, urn
from tests.plugins.providers.conftest import Server

Open = Callable[..., Instance]
PASSWORD, ID = "random:index/randomPassword:RandomPassword", "random:index/randomId:RandomId"
KEY = "tls:index/privateKey:PrivateKey"
LOCAL, REMOTE = "command:local:Command", "command:remote:Command"
NETWORK, CONTAINER = "docker:index/network:Network", "docker:index/container:Container"
BUCKET, USER = "minio:index/s3Bucket:S3Bucket", "minio:index/iamUser:IamUser"

SMALL = {
    "command": (LOCAL, {"create": "true"}),
    "docker": (NETWORK, {"driver": "bridge"}),
    "minio": (BUCKET, {"bucket": "b"}),
    "random": (ID, {"byteLength": 4}),
    "tls": (KEY, {"algorithm": "ED25519"}),
}
CONFIG = {"minio": {"minioServer": "127.0.0.1:1", "minioUser": "u", "minioPassword": Secret("p4ssword")}}
PACKAGES = pytest.mark.parametrize("package", sorted(SMALL))


@PACKAGES
def test_a_provider_takes_secrets_and_says_its_name_and_version(instance: Open, package: str) -> None:
    provider = instance(package, **CONFIG.get(package, {}))
    assert provider.stub.Handshake(pb.ProviderHandshakeRequest(engine_address="127.0.0.1:1")).accept_secrets
    assert provider.stub.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"
    schema = json.loads(provider.stub.GetSchema(pb.GetSchemaRequest()).schema)
    assert (schema["name"], schema["version"]) == (package, "1.2.3")
    assert SMALL[package][0] in schema["resources"]
    configured = provider.configure(**CONFIG.get(package, {}))
    assert configured.acceptSecrets and configured.supportsPreview


@PACKAGES
def test_a_property_that_is_not_known_is_refused_by_name(instance: Open, package: str) -> None:
    type_, inputs = SMALL[package]
    answer = instance(package, **CONFIG.get(package, {})).check(type_, "x", **inputs, surprise="1")
    (failure,) = answer.failures
    assert failure.property == "surprise" and "not supported by" in failure.reason


@PACKAGES
def test_a_resource_type_that_is_not_known_is_refused_by_name(instance: Open, package: str) -> None:
    provider = instance(package, **CONFIG.get(package, {}))
    said = refused(lambda: provider.check(f"{package}:index/thing:Thing", "x"))
    assert f"provider does not know the resource type {package}:index/thing:Thing" in said


@PACKAGES
def test_a_preview_knows_the_inputs_and_leaves_the_rest_open(instance: Open, package: str) -> None:
    type_, inputs = SMALL[package]
    seen = instance(package, **CONFIG.get(package, {})).preview(type_, "x", **inputs)
    assert inputs.items() <= seen.items()
    assert UNKNOWN in seen.values() or package == "minio"


@PACKAGES
def test_what_is_not_known_yet_passes_check_and_preview(instance: Open, package: str) -> None:
    type_, inputs = SMALL[package]
    first = next(iter(inputs))
    seen = instance(package, **CONFIG.get(package, {})).preview(type_, "x", **{first: UNKNOWN})
    assert seen[first] is UNKNOWN


@PACKAGES
def test_checking_twice_changes_nothing(instance: Open, package: str) -> None:
    type_, inputs = SMALL[package]
    provider = instance(package, **CONFIG.get(package, {}))
    once = provider.checked(type_, "x", **inputs)
    again = from_struct(provider.check(type_, "x", once, **inputs).inputs)
    assert again == once


@pytest.mark.parametrize("package", ["command", "random", "tls"])
def test_a_resource_lives_from_create_to_delete(instance: Open, package: str) -> None:
    type_, inputs = SMALL[package]
    made = instance(package).make(type_, "x", **inputs)
    assert made.id
    assert made.diff().changes == pb.DiffResponse.DIFF_NONE
    found = made.read()
    assert (found.id, from_struct(found.properties), from_struct(found.inputs)) == (made.id, made.outputs, made.inputs)
    made.delete()


def test_a_network_lives_on_the_local_daemon(instance: Open, daemon: object) -> None:
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    made = instance("docker").make(NETWORK, name, name=name, driver="bridge", internal=True)
    try:
        assert made.diff().changes == pb.DiffResponse.DIFF_NONE
        assert list(made.diff(internal=False).replaces) == ["internal"]
        assert from_struct(made.read().properties) == made.outputs
    finally:
        made.delete()
    assert made.read().id == "", "what is gone has no id"


def test_a_bucket_lives_on_a_server(instance: Open, address: str) -> None:
    config = {"minioServer": address, "minioSsl": "false", "minioUser": "tester"}
    provider = instance("minio", **config, minioPassword=Secret("tester-password"))
    made = provider.make(BUCKET, "b", bucket="by-plugin")
    assert made.diff().changes == pb.DiffResponse.DIFF_NONE
    user = provider.make(USER, "u", name="by-plugin", secret=Secret("its-own-secret"))
    assert user.outputs["secret"] == Secret("its-own-secret")
    for one in (user, made):
        one.delete()
        assert one.read().id == ""


def test_outputs_are_secret_where_the_published_schema_says_so(instance: Open) -> None:
    password = instance("random").make(PASSWORD, "p", length=12)
    assert {key for key, value in password.outputs.items() if isinstance(value, Secret)} == {"result", "bcryptHash"}
    key = instance("tls").make(KEY, "k", algorithm="ED25519")
    secret = {name for name, value in key.outputs.items() if isinstance(value, Secret)}
    assert secret == {"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"}


def test_a_secret_input_stays_secret_in_inputs_and_outputs(instance: Open) -> None:
    made = instance("command").make(LOCAL, "x", create="cat", stdin=Secret("hush-hush"), environment={"A": Secret("b")})
    for side in (made.inputs, made.outputs):
        assert side["stdin"] == Secret("hush-hush")
        assert side["environment"] == {"A": Secret("b")}
    assert made.outputs["stdout"] == "hush-hush", "as the published provider has it: the program marks it"


def test_a_connection_is_secret_as_a_whole_and_its_key_once_more(instance: Open) -> None:
    inputs = instance("command").checked(REMOTE, "x", create="true", connection={"host": "h", "privateKey": "k3y"})
    assert inputs["connection"] == Secret(
        {
            "host": "h",
            "privateKey": Secret("k3y"),
            "port": 22,
            "user": "root",
            "dialErrorLimit": 10,
            "perDialTimeout": 15,
        }
    )


def test_an_input_that_becomes_secret_is_a_difference(instance: Open) -> None:
    made = instance("command").make(LOCAL, "x", create="true", stdin="a")
    assert list(made.diff(stdin=Secret("a")).diffs) == ["stdin"]


def test_a_refresh_keeps_secrets_secret(instance: Open) -> None:
    made = instance("random").make(PASSWORD, "p", length=12)
    assert from_struct(made.read().properties) == made.outputs


def test_an_update_is_told_apart_from_a_replacement(instance: Open) -> None:
    made = instance("command").make(LOCAL, "x", create="echo one", update='echo "$PULUMI_COMMAND_STDOUT two"')
    answer = made.diff(stdin="new")
    assert (answer.changes, list(answer.diffs), list(answer.replaces)) == (pb.DiffResponse.DIFF_SOME, ["stdin"], [])
    assert list(made.diff(triggers=["new"]).replaces) == ["triggers"]
    assert made.update(preview=True, stdin="new")["stdout"] is UNKNOWN
    assert made.update(stdin="new")["stdout"] == "one two"


def test_a_providers_settings_are_stored_without_spaces(instance: Open) -> None:
    provider = instance("docker")
    news = to_struct({"host": "ssh://root@h", "sshOpts": json.dumps(["-o", "BatchMode=yes"]), "version": "5.2.0"})
    answer = provider.stub.CheckConfig(pb.CheckRequest(urn="u", news=news))
    assert from_struct(answer.inputs)["sshOpts"] == '["-o","BatchMode=yes"]'
    old = to_struct({"host": "ssh://root@h"})
    changed = provider.stub.DiffConfig(pb.DiffRequest(urn="u", old_inputs=old, olds=old, news=news))
    assert (list(changed.diffs), list(changed.replaces)) == (["sshOpts"], [])


def test_a_providers_wrong_setting_is_refused_by_name(instance: Open) -> None:
    news = to_struct({"host": "tcp://h", "surprise": "1"})
    answer = instance("docker").stub.CheckConfig(pb.CheckRequest(urn="u", news=news))
    assert [failure.property for failure in answer.failures] == ["surprise"]


def test_a_provider_with_settings_that_are_not_known_is_not_called(instance: Open) -> None:
    provider = instance("docker", host=UNKNOWN)
    assert "settings are not known yet" in refused(lambda: provider.check(NETWORK, "n"))


def test_an_error_names_the_resource_and_holds_no_secret(instance: Open) -> None:
    provider = instance("command")
    said = refused(lambda: provider.make(LOCAL, "sad", create="cat; exit 3", stdin=Secret("hush-hush-hush")))
    assert "sad: the command for its creation failed on this machine: it exited with status 3" in said
    assert "hush-hush-hush" not in said


def test_a_refused_value_that_is_secret_is_not_repeated(instance: Open) -> None:
    (failure,) = instance("command").check(LOCAL, "x", create="true", logging=Secret("hush-hush")).failures
    assert failure.property == "logging" and "hush-hush" not in failure.reason


def test_a_fault_of_the_provider_is_one_sentence(instance: Open) -> None:
    provider = instance("command")
    request = pb.CreateRequest(urn=urn(REMOTE, "x"), properties=to_struct({"create": "true"}))
    said = refused(lambda: provider.stub.Create(request))
    assert said == "unexpected KeyError: 'connection'"


def test_a_bundle_larger_than_grpcs_own_limit_passes(instance: Open) -> None:
    made = instance("command").make(LOCAL, "big", create="wc -c", stdin="x" * (9 << 20))
    assert plain(made.outputs)["stdout"].strip() == str(9 << 20)


def test_a_create_timeout_ends_the_command(instance: Open) -> None:
    provider = instance("command")
    inputs = to_struct(provider.checked(LOCAL, "slow", create="exec sleep 30"))
    begun = time.monotonic()
    request = pb.CreateRequest(urn=urn(LOCAL, "slow"), properties=inputs, timeout=0.3)
    said = refused(lambda: provider.stub.Create(request))
    assert "did not end within 0.3 seconds" in said and time.monotonic() - begun < 10


def test_after_cancel_nothing_begins_and_what_runs_goes_on(instance: Open, tmp_path: Path) -> None:
    provider = instance("command")
    done = tmp_path / "done"
    inputs = to_struct(provider.checked(LOCAL, "slow", create=f"sleep 0.5; touch {done}"))
    running = provider.stub.Create.future(pb.CreateRequest(urn=urn(LOCAL, "slow"), properties=inputs))
    time.sleep(0.2)
    provider.stub.Cancel(empty_pb2.Empty())
    assert "was cancelled before this began" in refused(lambda: provider.make(LOCAL, "late", create="true"))
    assert running.result(10).id.startswith("slow") and done.exists()


def test_a_function_is_refused_by_name(instance: Open) -> None:
    stub = instance("docker").stub
    said = refused(lambda: stub.Invoke(pb.InvokeRequest(tok="docker:index/getNetwork:getNetwork")))
    assert said.startswith("docker:index/getNetwork:getNetwork: Berth's own providers have no functions")


def test_cancel_of_one_instance_ends_what_all_wait_for(own_host: Host, server: Server) -> None:
    connection = server.connection()
    server.stop()
    with own_host.instance("command") as waiting, own_host.instance("tls") as other, ThreadPoolExecutor(1) as pool:
        call = pool.submit(waiting.make, REMOTE, "x", create="true", connection=connection)
        time.sleep(0.5)
        begun = time.monotonic()
        other.stub.Cancel(empty_pb2.Empty())
        said = refused(lambda: call.result(5))
    assert "the run was cancelled before this was done" in said
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("type_", [LOCAL, REMOTE, KEY, "docker:index/remoteImage:RemoteImage"])
def test_a_type_that_cannot_be_imported_is_refused_by_name(instance: Open, type_: str) -> None:
    stub = instance(type_.split(":", maxsplit=1)[0]).stub
    said = refused(lambda: stub.Read(pb.ReadRequest(urn=urn(type_, "n"), id="some")))
    assert said == (f"resources of type {type_} cannot be imported, nor with the published plugin; let `up` make it")


def test_an_import_answers_inputs_and_outputs_with_their_secrets(instance: Open) -> None:
    stub = instance("random").stub
    found = stub.Read(pb.ReadRequest(urn=urn(PASSWORD, "p"), id="hush-hush"))
    assert (found.id, from_struct(found.inputs)) == ("none", {"length": 9})
    outputs = from_struct(found.properties)
    assert outputs["result"] == Secret("hush-hush")
    assert "hush-hush" not in str({key: value for key, value in outputs.items() if not isinstance(value, Secret)})


def test_an_import_of_what_is_not_there_has_no_id(instance: Open, daemon: object) -> None:
    found = instance("docker").stub.Read(pb.ReadRequest(urn=urn(NETWORK, "n"), id="berth-test-nothing"))
    assert found == pb.ReadResponse()


def test_a_package_that_is_not_berths_is_refused(host: Host) -> None:
    told = language_pb2.ProgramInfo(options=to_struct({"package": "aws"}))
    said, end = host.language.RunPlugin(language_pb2.RunPluginRequest(info=told))
    assert said.stderr.decode() == "Berth has no provider aws; it has command, docker, minio, random, tls\n"
    assert end.exitcode == 1
