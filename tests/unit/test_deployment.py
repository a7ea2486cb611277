"""The desired state, as it is read from the state of Pulumi and the text of a route."""

import gzip
import json
import os
from pathlib import Path

import pytest

from loadbalancer.engine.container import Limits
from loadbalancer.nginx import upstream
from loadbalancer.state import deployment
from loadbalancer.state.deployment import (
    Desired,
    DesiredContainer,
    DesiredImage,
    DesiredRoute,
)
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError
from tests.desired import LIMITS, PORT, TEXT


def test_the_state_as_pulumi_exports_it() -> None:
    def resource(kind: str, title: str, id_: str, **outputs: object) -> dict[str, object]:
        urn = f"urn:pulumi:dev::loadbalancer::{kind}::{title}"
        return {"type": kind, "urn": urn, "id": id_, "parent": "app1", "outputs": outputs}

    kind = "docker:index/container:Container"
    port = {"ip": "127.0.0.1", "external": 8080, "internal": 8080, "protocol": "tcp"}
    networks = [{"name": "lb-net", "aliases": ["app1"]}]
    outputs = {
        "image": "sha256:old",
        "ports": [port],
        "networksAdvanced": networks,
        "memory": 256,
        "memorySwap": 256,
        "cpuPeriod": 100_000,
        "cpuQuota": 100_000,
        "restart": "unless-stopped",
        "volumes": [{"containerPath": "/etc/nginx/route", "volumeName": "lb-route"}],
    }
    new = resource(kind, "app1", "2", name="lb-app1-new", **outputs)
    old = {**resource(kind, "app1", "1", name="lb-app1-old", image="sha256:old"), "delete": True}
    built = {"name": "lb:1", "imageId": "sha256:new"}
    image = resource("docker:index/remoteImage:RemoteImage", "app1", "sha256:newlb", **built)
    kind = "pulumi-python:dynamic/loadbalancer:Route"
    route = resource(kind, "route", "2", container="2", config=TEXT)
    network = resource("docker:index/network:Network", "lb", "n", name="lb-net")
    volume = resource("docker:index/volume:Volume", "lb-route", "lb-route-1", name="lb-route-1")
    stack = {"type": "pulumi:pulumi:Stack", "urn": "urn", "outputs": {"url": "http://here"}}
    found = deployment.parse(
        {
            "resources": [stack, new, old, image, route, network, volume],
            "pending_operations": [{"type": "creating", "resource": {**new, "outputs": {}}}],
        }
    )
    # What the container should run is the app's image of now, whatever it was started from.
    container = DesiredContainer(
        urn=str(new["urn"]),
        id="2",
        name="lb-app1-new",
        image="sha256:new",
        networks={"lb-net": ("app1",)},
        ports=frozenset({PORT}),
        limits=LIMITS,
        volumes={"/etc/nginx/route": "lb-route"},
    )
    known = {"1", "2", "n", "lb:1", "lb-net", "lb-app1-new", "lb-app1-old", "lb-route-1"}
    assert found == Desired(
        url="http://here",
        containers=(container,),
        images=(DesiredImage("lb:1", "sha256:new"),),
        networks={"lb-net": "n"},
        volumes=frozenset({"lb-route-1"}),
        route=DesiredRoute("2", TEXT),
        undeleted=("container lb-app1-old",),
        pending=("creating container app1",),
        known=frozenset(known | {"sha256:new", "sha256:newlb"}),
    )


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ({}, Limits()),
        ({"memory": 0, "memorySwap": -1, "cpuQuota": None, "cpus": None}, Limits()),
        ({"cpus": "0.5"}, Limits(cpus=0.5)),
        ({"cpuQuota": 50_000}, Limits(cpus=0.5)),
    ],
)
def test_limits_in_the_state(values: dict[str, object], limits: Limits) -> None:
    outputs = {"name": "web", "image": "sha256:a1", **values}
    kind = "docker:index/container:Container"
    resource = {"type": kind, "urn": "urn", "id": "1", "outputs": outputs}
    (found,) = deployment.parse({"resources": [resource]}).containers
    assert found.limits == limits


@pytest.mark.parametrize(
    ("line", "weights"),
    [
        ("server a:1 weight=3 resolve;", {"a:1": 3}),
        ("server a:1 down resolve;", {"a:1": 0}),
        ("server a:1 weight=3 down;", {"a:1": 0}),
        ("server a:1 weight=3 backup;", {"a:1": 0}),
        ("server a:1;", {"a:1": 1}),
        ("server a:1; server b:2 weight=2;", {"a:1": 1, "b:2": 2}),
        ("server a:1 weight=2; server a:1 weight=3;", {"a:1": 5}),
        ("# server a:1 weight=3;", {}),
        ("# was a:1; server b:2;", {}),
        ("server a:1 weight=3; # down;", {"a:1": 3}),
        ("keepalive 64;", {}),
    ],
)
def test_weights_are_read_back_from_the_text(line: str, weights: dict[str, int]) -> None:
    text = f"upstream other {{ server c:3; }}\nupstream apps {{\n    {line}\n}}\n"
    assert upstream.weights(text) == weights


def test_weights_and_apps_are_those_that_were_written() -> None:
    assert upstream.weights(TEXT) == {"lb-app1:5001": 3, "lb-app2:5002": 2}
    assert upstream.apps(TEXT) == {"5001": "app1", "5002": "app2"}
    staged = upstream.staged(TEXT, ["new:1"])
    assert staged is not None
    assert upstream.weights(staged) == {"lb-app1:5001": 3, "lb-app2:5002": 2, "new:1": 0}


LATEST = {
    "resources": [{"type": "pulumi:pulumi:Stack", "urn": "u", "outputs": {"url": "http://x"}}]
}


def checkpoint(latest: object) -> bytes:
    return json.dumps({"version": 3, "checkpoint": {"stack": "s", "latest": latest}}).encode()


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a file backend's checkpoints; no Pulumi process may start."""

    def start(*_: object, **__: object) -> str:
        raise AssertionError("it starts a Pulumi process")

    monkeypatch.setattr(Pulumi, "run", start)
    folder = tmp_path / ".state/.pulumi/stacks/lb"
    folder.mkdir(parents=True)
    return folder


def project(tmp_path: Path, backend: str = "file://./.state?metadata=skip") -> Project:
    return Project(tmp_path, "lb", backend)


@pytest.mark.parametrize("stack", ["dev", "organization/lb/dev"])
def test_a_file_backend_is_read_without_a_pulumi_process(
    stack: str, stacks: Path, tmp_path: Path
) -> None:
    (stacks / "dev.json").write_bytes(checkpoint(LATEST))
    assert deployment.load(project(tmp_path), stack) == LATEST
    assert deployment.outputs(project(tmp_path), stack) == {"url": "http://x"}
    assert deployment.read(project(tmp_path), stack) == Desired(url="http://x")


def test_of_a_plain_and_a_compressed_checkpoint_the_newer_one_counts(
    stacks: Path, tmp_path: Path
) -> None:
    plain, compressed = stacks / "dev.json", stacks / "dev.json.gz"
    compressed.write_bytes(gzip.compress(checkpoint(LATEST)))
    assert deployment.load(project(tmp_path), "dev") == LATEST
    plain.write_bytes(checkpoint({"resources": []}))
    os.utime(compressed, (1, 1))
    assert deployment.load(project(tmp_path), "dev") == {"resources": []}
    os.utime(plain, (0, 0))
    assert deployment.load(project(tmp_path), "dev") == LATEST


def test_a_stack_that_was_never_up_has_an_empty_deployment(stacks: Path, tmp_path: Path) -> None:
    (stacks / "dev.json").write_bytes(checkpoint(None))
    assert deployment.load(project(tmp_path), "dev") == {}
    assert deployment.outputs(project(tmp_path), "dev") == {}
    assert deployment.read(project(tmp_path), "dev") == Desired()


@pytest.mark.usefixtures("stacks")
def test_a_stack_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(StackNotFoundError):
        deployment.load(project(tmp_path), "dev")


def test_another_backend_is_asked_by_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def export(_: Pulumi, *arguments: str, stack: str) -> str:
        asked.append((*arguments, stack))
        return json.dumps({"version": 3, "deployment": LATEST})

    monkeypatch.setattr(Pulumi, "run", export)
    assert deployment.load(project(tmp_path, "s3://bucket"), "dev") == LATEST
    assert asked == [("stack", "export", "dev")]
