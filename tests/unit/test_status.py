"""Drift: desired against actual resources, and the table; without Docker and Pulumi."""

import gzip
import io
import json
import os
import re
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from loadbalancer import engine
from loadbalancer.display.status import as_object, show
from loadbalancer.drift import actual, status
from loadbalancer.drift.actual import Actual
from loadbalancer.drift.compare import Row, compare
from loadbalancer.drift.orphans import Orphan
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.drift.status import Status
from loadbalancer.engine import Client, container
from loadbalancer.engine.container import Container, Details, Limits, Port
from loadbalancer.nginx import upstream
from loadbalancer.nginx.upstream import Server
from loadbalancer.state import deployment
from loadbalancer.state.deployment import (
    Desired,
    DesiredContainer,
    DesiredFiles,
    DesiredImage,
    DesiredRoute,
)
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError

PORT = Port("127.0.0.1", 8080, 8080)
APP = DesiredContainer("urn:app1", "id-app1", "lb-app1", "sha256:a1", {"lb-net": ()})
NGINX = DesiredContainer(
    "urn:nginx", "id-nginx", "lb-nginx", "sha256:b2", {"lb-net": ()}, frozenset({PORT})
)
TEXT = upstream.render(
    [Server("app1", "lb-app1", 5001, 3), Server("app2", "lb-app2", 5002, 2)], {"app1": 6, "app2": 4}
)
DESIRED = Desired(
    url="http://127.0.0.1:8080",
    containers=(NGINX, APP),
    images=(DesiredImage("lb-net/apps/app1:12", "sha256:a1"),),
    networks={"lb-net": "n"},
    volumes=frozenset({"lb-route"}),
    route=DesiredRoute("id-nginx", TEXT),
    files=DesiredFiles("id-nginx", {"nginx.conf": "aa", "njs/record.js": "bb"}),
)
HEALTHY = Container(
    "id-app1", "lb-app1", "running", "healthy", "sha256:a1", networks=frozenset({"lb-net"})
)
FOUND = Actual(
    containers={
        "id-app1": HEALTHY,
        "id-nginx": replace(
            HEALTHY, id="id-nginx", name="lb-nginx", image="sha256:b2", ports=frozenset({PORT})
        ),
    },
    images={"lb-net/apps/app1:12": "sha256:a1"},
    networks={"bridge": "b", "lb-net": "n"},
    volumes=frozenset({"lb-route"}),
    route=TEXT,
    files={"nginx.conf": "aa", "njs/record.js": "bb"},
)


def differences(found: Actual, desired: Desired = DESIRED) -> dict[str, str]:
    return {row.name: row.difference for row in compare(desired, found) if row.difference}


def with_app(container: Container | None) -> Actual:
    containers = {**FOUND.containers, "id-app1": container}
    return replace(FOUND, containers={id_: one for id_, one in containers.items() if one})


def test_resources_as_desired_have_a_row_each_and_no_difference() -> None:
    rows = compare(DESIRED, FOUND)
    assert [row.name for row in rows if row.difference] == []
    assert [row.name for row in rows] == [
        "container lb-app1",
        "container lb-nginx",
        "port 8080",
        "route",
        "share of app1",
        "share of app2",
        "share of lb-app1:5001",
        "share of lb-app2:5002",
        "nginx files",
        "image lb-net/apps/app1:12",
        "network lb-net",
        "volume lb-route",
    ]
    assert Row("share of app1", "60 %", "60 %") in rows


@pytest.mark.parametrize(
    ("container", "difference"),
    [
        (None, "not found"),
        (replace(HEALTHY, status="exited", health="unhealthy"), "stopped"),
        (replace(HEALTHY, status="created"), "never started"),
        (replace(HEALTHY, status="paused"), "paused"),
        (replace(HEALTHY, status="restarting"), "crash-looping"),
        (replace(HEALTHY, health="starting"), "not healthy yet"),
        (replace(HEALTHY, health="unhealthy"), "unhealthy"),
        (replace(HEALTHY, image="sha256:c3"), "runs another image"),
        (replace(HEALTHY, networks=frozenset()), "not connected to network lb-net"),
        (replace(HEALTHY, status="exited", image="x"), "stopped, runs another image"),
    ],
)
def test_a_container_that_is_not_as_desired(container: Container | None, difference: str) -> None:
    assert differences(with_app(container)) == {"container lb-app1": difference}


LIMITS = Limits(256 * 1024**2, 256 * 1024**2, 1.0, "unless-stopped")
ALONE = replace(
    APP, networks={"lb-net": ("app1",)}, limits=LIMITS, volumes={"/etc/nginx/route": "lb-route"}
)
DETAILS = Details(
    LIMITS, {"lb-net": frozenset({"app1", "0123456789ab"})}, {"/etc/nginx/route": "lb-route"}
)
AS_DESIRED = replace(HEALTHY, details=DETAILS)


def with_limits(**limits: Any) -> Container:
    return replace(AS_DESIRED, details=replace(DETAILS, limits=replace(LIMITS, **limits)))


@pytest.mark.parametrize(
    ("container", "difference"),
    [
        (AS_DESIRED, None),
        (replace(AS_DESIRED, name="mine"), "renamed to mine"),
        (replace(AS_DESIRED, networks=frozenset({"lb-net", "x"})), "also connected to network x"),
        (
            replace(AS_DESIRED, details=replace(DETAILS, aliases={"lb-net": frozenset({"a"})})),
            "no alias app1 in network lb-net",
        ),
        (
            replace(AS_DESIRED, details=replace(DETAILS, volumes={})),
            "volume lb-route not mounted at /etc/nginx/route",
        ),
        (with_limits(memory=128 * 1024**2), "memory 128 MiB instead of 256 MiB"),
        (with_limits(memory=0), "memory unlimited instead of 256 MiB"),
        (with_limits(memory_swap=2**30), "memory and swap 1024 MiB instead of 256 MiB"),
        (with_limits(memory_swap=0), None),  # where the kernel does not count swap
        (with_limits(cpus=0.5), "cpus 0.5 instead of 1"),
        (with_limits(cpus=0.0), "cpus unlimited instead of 1"),
        (with_limits(restart="no"), "restart policy no instead of unless-stopped"),
    ],
)
def test_what_can_be_changed_on_a_running_container(
    container: Container, difference: str | None
) -> None:
    desired = replace(DESIRED, containers=(NGINX, ALONE))
    found = differences(with_app(container), desired)
    assert found == ({"container lb-app1": difference} if difference else {})


@pytest.mark.parametrize(
    ("answer", "actual", "difference"),
    [
        (Answer(200), "answers 200", ""),
        (Answer(404), "answers 404", ""),
        (Answer(503, "answers 503"), "answers 503", "answers 503"),
        (Answer(None, "refuses connections", dead=True),) + ("refuses connections",) * 2,
    ],
)
def test_published_addresses_are_asked(answer: Answer, actual: str, difference: str) -> None:
    published = Published("127.0.0.1", 8080, "id-nginx")
    rows = compare(DESIRED, replace(FOUND, answers={published: answer}))
    assert Row("address http://127.0.0.1:8080", "answers", actual, difference) in rows


class Network:
    """An engine whose containers are those of DESIRED, an orphan, and some of others."""

    def __init__(self) -> None:
        of_app, other = frozenset({"lb-net"}), frozenset({"other"})
        self.containers = [
            replace(AS_DESIRED, id="id-app1"),
            replace(AS_DESIRED, id="orphan", name="by-hand"),
            replace(AS_DESIRED, id="a", name="debugger", details=Details()),
            replace(AS_DESIRED, id="b", name="same-alias", networks=of_app),
            replace(AS_DESIRED, id="c", name="elsewhere", networks=other),
        ]

    def find(self, _client: object) -> list[Container]:
        return [replace(one, details=None) for one in self.containers]

    def inspect(self, _client: object, id_: str) -> Container:
        return next(one for one in self.containers if one.id == id_)


def test_a_container_of_others_that_has_a_name_of_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Network()
    monkeypatch.setattr(container, "find", engine.find)
    monkeypatch.setattr(container, "inspect", engine.inspect)
    desired = replace(DESIRED, containers=(NGINX, ALONE), known=frozenset({"id-app1", "id-nginx"}))
    client = cast(Client, None)
    found = actual._namesakes(client, desired, {"orphan"})
    assert found == {"same-alias": ("app1", "lb-net")}
    assert differences(replace(FOUND, namesakes=found)) == {
        "container same-alias": "gets requests for app1 and is not repaired: "
        "docker network disconnect lb-net same-alias"
    }


@pytest.mark.parametrize(
    ("networks", "volumes", "containers", "elsewhere"),
    [
        (["bridge"], [], [], True),
        (["bridge", "lb-net"], [], [], False),
        (["bridge"], ["lb-route"], [], False),
        (["bridge"], [], [APP.id], False),
    ],
)
def test_an_engine_that_has_nothing_of_a_stack_is_another_one(
    networks: list[str],
    volumes: list[str],
    containers: list[str],
    elsewhere: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = SimpleNamespace(
        networks=lambda: [{"Name": name} for name in networks],
        volumes=lambda: {"Volumes": [{"Name": name} for name in volumes] or None},
    )
    client = cast(Client, SimpleNamespace(api=api))
    monkeypatch.setattr(
        container, "inspect", lambda _client, id_: HEALTHY if id_ in containers else None
    )
    assert actual.is_elsewhere(client, DESIRED) is elsewhere
    assert not actual.is_elsewhere(client, Desired())


def test_another_network_of_the_same_name() -> None:
    found = replace(FOUND, networks={"lb-net": "other"})
    assert differences(found) == {"network lb-net": "another network of this name"}


def test_a_container_without_a_health_check_only_has_to_run() -> None:
    assert differences(with_app(replace(HEALTHY, health=None))) == {}


def test_restarts_are_shown_but_are_no_drift() -> None:
    rows = compare(DESIRED, with_app(replace(HEALTHY, details=Details(restarts=2))))
    assert rows[0].actual == "running, healthy, image a1, restarted 2 times"
    assert rows[0].difference == ""


@pytest.mark.parametrize("ports", [frozenset(), frozenset({Port("127.0.0.1", 8081, 8080)})])
def test_a_port_that_the_container_does_not_publish(ports: frozenset[Port]) -> None:
    nginx = replace(FOUND.containers["id-nginx"], ports=ports)
    found = replace(FOUND, containers={**FOUND.containers, "id-nginx": nginx})
    assert differences(found) == {"port 8080": "not published by lb-nginx"}


def test_shares_are_those_of_the_text_in_nginx() -> None:
    found = replace(FOUND, route=re.sub("lb-app1:5001 .*", "lb-app1:5001 weight=2;", TEXT))
    assert differences(found) == {
        "route": "hand-edited; additional line: server lb-app1:5001 weight=2;",
        "share of app1": "50 % instead of 60 %",
        "share of app2": "50 % instead of 40 %",
        "share of lb-app1:5001": "50 % instead of 60 %",
        "share of lb-app2:5002": "50 % instead of 40 %",
    }


def test_servers_that_were_added_or_removed_by_hand() -> None:
    text = re.sub("server lb-app2:5002 .*", "server other:80;", TEXT)
    assert differences(replace(FOUND, route=text)) == {
        "route": "hand-edited; additional line: server other:80;",
        "share of app1": "75 % instead of 60 %",
        "share of app2": "not in the route",
        "share of no app": "not in the Pulumi state",
        "share of lb-app1:5001": "75 % instead of 60 %",
        "share of lb-app2:5002": "not in the route",
        "share of other:80": "not in the Pulumi state",
    }


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (("keepalive 64;", "keepalive 1;"), "hand-edited; additional line: keepalive 1;"),
        (("    keepalive 64;\n", ""), "hand-edited; missing line: keepalive 64;"),
        (("\n}", "\n}\n}"), "hand-edited; lines moved or repeated"),
    ],
)
def test_an_edit_that_leaves_the_shares_is_drift_too(
    edit: tuple[str, str], difference: str
) -> None:
    assert differences(replace(FOUND, route=TEXT.replace(*edit))) == {"route": difference}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (None, {"nginx files": "not in force"}),
        ({}, {"nginx files": "not in force"}),
        ({"nginx.conf": "cc", "njs/record.js": "bb"}, {"nginx file nginx.conf": "hand-edited"}),
        ({"nginx.conf": "aa"}, {"nginx file njs/record.js": "not found"}),
        (
            {"nginx.conf": "aa", "njs/record.js": "bb", "more.conf": "dd"},
            {"nginx file more.conf": "not in the Pulumi state"},
        ),
    ],
)
def test_files_of_nginx_that_are_not_as_desired(
    files: dict[str, str] | None, expected: dict[str, str]
) -> None:
    assert differences(replace(FOUND, files=files)) == expected


@pytest.mark.parametrize(
    ("text", "difference"),
    [("", "not in force"), (None, "nginx's container not found")],
)
def test_a_route_that_is_gone(text: str | None, difference: str) -> None:
    found = differences(replace(FOUND, route=text))
    assert found["route"] == difference
    assert found["share of app2"] == "not in the route"


def test_a_route_without_active_servers_has_shares_of_0() -> None:
    text = TEXT.replace("weight=3", "down").replace("weight=2", "down")
    assert differences(replace(FOUND, route=text))["share of app1"] == "0 % instead of 60 %"


def test_images_networks_and_volumes_that_are_gone() -> None:
    found = replace(FOUND, images={}, networks={"bridge": "b"}, volumes=frozenset())
    assert differences(found) == {
        "image lb-net/apps/app1:12": "not found",
        "network lb-net": "not found",
        "volume lb-route": "not found",
    }


def test_an_image_name_that_points_to_another_image() -> None:
    found = replace(FOUND, images={"lb-net/apps/app1:12": "sha256:c3"})
    assert differences(found) == {"image lb-net/apps/app1:12": "name points to another image"}


def test_orphans_and_what_an_update_left() -> None:
    found = replace(FOUND, orphans=(Orphan("container", "by-hand", "id-by-hand"),))
    desired = replace(DESIRED, undeleted=("container lb-old",), pending=("creating image app1",))
    assert differences(found, desired) == {
        "container by-hand": "orphan: not in the Pulumi state",
        "container lb-old": "replaced, but not deleted yet",
        "creating image app1": "update interrupted or still running",
    }


def test_a_stack_without_resources_has_no_rows() -> None:
    assert deployment.parse({}) == Desired()
    assert compare(Desired(), FOUND) == []


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


def shown(
    status: Status, *, terminal: bool = False, width: int = 80, all: bool = False
) -> list[str]:
    file = io.StringIO()
    width_ = width if terminal else None
    console = Console(file=file, force_terminal=terminal, width=width_, color_system=None)
    show(status, console, all=all)
    return [line.rstrip() for line in file.getvalue().splitlines()]


LONG = Row(f"container {'x' * 150}", "running", "- [b]", "not found")
SAME = Row("port 8080", "127.0.0.1:8080", "127.0.0.1:8080")
DRIFT = "dev: drift in 1 of 2 resources. Repair it: ./lb repair --stack dev"


def test_without_a_terminal_every_row_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    status = Status("dev", "http://here", (SAME, LONG))
    lines = shown(status)
    assert [re.split(" {2,}", line) for line in lines[:-1]] == [
        ["resource", "difference"],
        [LONG.name, LONG.difference],
        [""],
    ]
    assert lines[-1] == DRIFT


def test_all_resources_with_those_that_differ_first() -> None:
    lines = shown(Status("dev", "http://here", (SAME, LONG)), all=True)
    assert [re.split(" {2,}", line) for line in lines[:-1]] == [
        ["resource", "actual", "difference"],
        [LONG.name, LONG.actual, LONG.difference],
        [SAME.name, SAME.actual],
        [""],
    ]
    assert lines[-1] == DRIFT


@pytest.mark.parametrize("all", [False, True])
def test_a_narrow_terminal_folds_and_loses_nothing(all: bool) -> None:
    lines = shown(Status("dev", "", (LONG, SAME)), terminal=True, width=40, all=all)
    assert max(map(len, lines[:-1])) <= 40
    assert "".join(lines).count("x") == 150
    assert lines[-1].endswith("./lb repair --stack dev")


def test_every_kind_of_difference_fits_80_columns() -> None:
    every = compare(DESIRED, Actual(orphans=(Orphan("container", "by-hand", "1"),)))
    assert len([row for row in every if row.difference]) >= 10
    for all in (False, True):
        lines = shown(Status("dev", "", tuple(every)), terminal=True, all=all)
        assert max(map(len, lines)) <= 80


def test_control_characters_of_a_hand_edited_route_cannot_drive_the_terminal() -> None:
    row = Row("route", "in force", "another", "hand-edited; additional line: \x1b[2J")
    assert shown(Status("dev", "", (row,)), terminal=True)[1].endswith(r"additional line: \x1b[2J")


def test_a_running_update_is_told_and_not_repaired() -> None:
    status = Status("dev", "", (LONG,), updating="process 7 on here since 2026-01-01T00:00:00Z")
    *_, lock, last = shown(status)
    assert lock.startswith("dev: locked by an update that may be running: process 7 on here")
    assert last.endswith("Look again when the update has ended: ./lb status --stack dev")
    assert as_object(status)["updating"] == status.updating


def test_a_stale_lock_is_drift_with_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "loadbalancer", tmp_path.as_uri())
    locks = tmp_path / ".pulumi/locks/organization/loadbalancer/dev"
    locks.mkdir(parents=True)
    with subprocess.Popen(["true"]) as ended:
        pass
    held = {
        "pid": ended.pid,
        "username": "user",
        "hostname": socket.gethostname(),
        "timestamp": "2026-11-27T17:00:00Z",
    }
    (locks / "a.json").write_text(json.dumps(held))
    monkeypatch.setattr(deployment, "read", lambda *_: Desired())
    monkeypatch.setattr(actual, "read", lambda *_: Actual())
    monkeypatch.setattr(actual, "is_elsewhere", lambda *_: False)
    monkeypatch.setattr(engine, "connect", lambda: None)
    found = status.look(project, "dev")
    who = f"process {ended.pid} of user on {socket.gethostname()} since 2026-11-27T17:00:00Z"
    assert [(row.name, row.actual) for row in found.drift] == [("lock", who)]
    assert shown(found)[1].split(maxsplit=1) == ["lock", f"stale lock of {who}"]
    assert max(map(len, shown(found, terminal=True))) <= 80


def test_the_last_line_of_a_stack_without_drift() -> None:
    assert shown(Status("dev", "http://here", (SAME,))) == [
        "dev: no drift in 1 resources, serving at http://here"
    ]
    (line,) = shown(Status("dev", "", ()))
    assert line == "dev: nothing is deployed. Deploy it: ./lb up --stack dev"
    assert compare(Desired(), Actual()) == []


def test_ejected_servers_are_named_and_are_no_drift() -> None:
    ejected = {"app1:5001": "connect_failed", "app2:5002": "check"}
    status = Status("dev", "http://here", (SAME,), ejected=ejected)
    assert shown(status) == [
        "dev: server app1:5001 is ejected: no connection",
        "dev: server app2:5002 is ejected: health checks fail",
        "dev: no drift in 1 resources, serving at http://here",
    ]
    assert as_object(status)["ejected"] == ejected
    assert not status.drift


def test_the_status_as_json() -> None:
    assert as_object(Status("dev", "", (SAME, LONG))) == {
        "stack": "dev",
        "url": None,
        "drift": True,
        "updating": None,
        "ejected": {},
        "resources": [
            {
                "name": "port 8080",
                "desired": "127.0.0.1:8080",
                "actual": "127.0.0.1:8080",
                "difference": None,
            },
            {
                "name": LONG.name,
                "desired": "running",
                "actual": "- [b]",
                "difference": "not found",
            },
        ],
    }


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
