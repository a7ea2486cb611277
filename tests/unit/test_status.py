"""Declared against real, and how it is told; without Docker and without Pulumi."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from loadbalancer.drift import actual
from loadbalancer.drift.actual import Real
from loadbalancer.drift.compare import Row, compare
from loadbalancer.drift.orphans import Orphan
from loadbalancer.drift.status import Status, show
from loadbalancer.nginx import upstream
from loadbalancer.nginx.upstream import Server
from loadbalancer.state import deployment
from loadbalancer.state.deployment import Declared, Files, Image, Port, Route

PORT = Port("127.0.0.1", 8080, 8080)
APP = deployment.Container("urn:app1", "id-app1", "lb-app1", "sha256:a1", {"lb-net": ()})
NGINX = deployment.Container(
    "urn:nginx", "id-nginx", "lb-nginx", "sha256:b2", {"lb-net": ()}, frozenset({PORT})
)
TEXT = upstream.render(
    [Server("app1", "lb-app1", 5001, 3), Server("app2", "lb-app2", 5002, 2)], {"app1": 6, "app2": 4}
)
WANTED = Declared(
    url="http://127.0.0.1:8080",
    containers=(NGINX, APP),
    images=(Image("lb-net/apps/app1:12", "sha256:a1"),),
    networks=frozenset({"lb-net"}),
    volumes=frozenset({"lb-route"}),
    route=Route("id-nginx", TEXT),
    files=Files("id-nginx", {"nginx.conf": "aa", "njs/record.js": "bb"}),
)
WELL = actual.Container("running", "healthy", "sha256:a1", networks=frozenset({"lb-net"}))
FOUND = Real(
    containers={
        "id-app1": WELL,
        "id-nginx": replace(WELL, image="sha256:b2", ports=frozenset({PORT})),
    },
    images={"lb-net/apps/app1:12": "sha256:a1"},
    networks=frozenset({"bridge", "lb-net"}),
    volumes=frozenset({"lb-route"}),
    route=TEXT,
    files={"nginx.conf": "aa", "njs/record.js": "bb"},
)


def differences(found: Real, wanted: Declared = WANTED) -> dict[str, str]:
    return {row.what: row.difference for row in compare(wanted, found) if row.difference}


def with_app(container: actual.Container | None) -> Real:
    containers = {**FOUND.containers, "id-app1": container}
    return replace(FOUND, containers={id_: one for id_, one in containers.items() if one})


def test_what_is_as_declared_has_a_row_each_and_no_difference() -> None:
    rows = compare(WANTED, FOUND)
    assert [row.what for row in rows if row.difference] == []
    assert [row.what for row in rows] == [
        "container lb-app1",
        "container lb-nginx",
        "port 8080",
        "route",
        "share of app1",
        "share of app2",
        "share of lb-app1:5001",
        "share of lb-app2:5002",
        "nginx's files",
        "image lb-net/apps/app1:12",
        "network lb-net",
        "volume lb-route",
    ]
    assert Row("share of app1", "60 %", "60 %") in rows


@pytest.mark.parametrize(
    ("container", "difference"),
    [
        (None, "is not there"),
        (replace(WELL, status="exited", health="unhealthy"), "is stopped"),
        (replace(WELL, status="created"), "was never started"),
        (replace(WELL, status="paused"), "is paused"),
        (replace(WELL, status="restarting"), "ends again and again"),
        (replace(WELL, health="starting"), "is not healthy yet"),
        (replace(WELL, health="unhealthy"), "is not healthy"),
        (replace(WELL, image="sha256:c3"), "runs another image"),
        (replace(WELL, networks=frozenset({"bridge"})), "has left network lb-net"),
        (replace(WELL, status="exited", image="x"), "is stopped, runs another image"),
    ],
)
def test_a_container_that_is_not_as_declared(
    container: actual.Container | None, difference: str
) -> None:
    assert differences(with_app(container)) == {"container lb-app1": difference}


def test_a_container_without_a_probe_needs_only_to_run() -> None:
    assert differences(with_app(replace(WELL, health=None))) == {}


def test_restarts_are_told_but_are_no_drift() -> None:
    rows = compare(WANTED, with_app(replace(WELL, restarts=2)))
    assert rows[0].real == "running, healthy, image a1, restarted 2 times"
    assert rows[0].difference == ""


@pytest.mark.parametrize("ports", [frozenset(), frozenset({Port("127.0.0.1", 8081, 8080)})])
def test_a_port_that_does_not_lead_to_the_container(ports: frozenset[Port]) -> None:
    nginx = replace(FOUND.containers["id-nginx"], ports=ports)
    found = replace(FOUND, containers={**FOUND.containers, "id-nginx": nginx})
    assert differences(found) == {"port 8080": "does not lead to lb-nginx"}


def test_shares_are_those_of_the_text_in_nginx() -> None:
    found = replace(FOUND, route=re.sub("lb-app1:5001 .*", "lb-app1:5001 weight=2;", TEXT))
    assert differences(found) == {
        "route": "was edited; it has the line: server lb-app1:5001 weight=2;",
        "share of app1": "gets 50 % instead of 60 %",
        "share of app2": "gets 50 % instead of 40 %",
        "share of lb-app1:5001": "gets 50 % instead of 60 %",
        "share of lb-app2:5002": "gets 50 % instead of 40 %",
    }


def test_servers_that_a_hand_added_or_took_away() -> None:
    text = re.sub("server lb-app2:5002 .*", "server other:80;", TEXT)
    assert differences(replace(FOUND, route=text)) == {
        "route": "was edited; it has the line: server other:80;",
        "share of app1": "gets 75 % instead of 60 %",
        "share of app2": "is not in the route",
        "share of no app": "is in the route, but not declared",
        "share of lb-app1:5001": "gets 75 % instead of 60 %",
        "share of lb-app2:5002": "is not in the route",
        "share of other:80": "is in the route, but not declared",
    }


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (("keepalive 64;", "keepalive 1;"), "was edited; it has the line: keepalive 1;"),
        (("    keepalive 64;\n", ""), "was edited; it lacks the line: keepalive 64;"),
        (("\n}", "\n}\n}"), "was edited; its lines have another order or number"),
    ],
)
def test_an_edit_that_leaves_the_shares_is_drift_too(
    edit: tuple[str, str], difference: str
) -> None:
    assert differences(replace(FOUND, route=TEXT.replace(*edit))) == {"route": difference}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (None, {"nginx's files": "are not in force"}),
        ({}, {"nginx's files": "are not in force"}),
        ({"nginx.conf": "cc", "njs/record.js": "bb"}, {"nginx's nginx.conf": "was edited"}),
        ({"nginx.conf": "aa"}, {"nginx's njs/record.js": "is not there"}),
        (
            {"nginx.conf": "aa", "njs/record.js": "bb", "more.conf": "dd"},
            {"nginx's more.conf": "is there, but not declared"},
        ),
    ],
)
def test_files_of_nginx_that_are_not_as_declared(
    files: dict[str, str] | None, expected: dict[str, str]
) -> None:
    assert differences(replace(FOUND, files=files)) == expected


@pytest.mark.parametrize(
    ("text", "difference"),
    [("", "is not in force"), (None, "nginx's container, which holds it, is not there")],
)
def test_a_route_that_is_gone(text: str | None, difference: str) -> None:
    found = differences(replace(FOUND, route=text))
    assert found["route"] == difference
    assert found["share of app2"] == "is not in the route"


def test_a_route_to_nobody_divides_by_nothing() -> None:
    text = TEXT.replace("weight=3", "down").replace("weight=2", "down")
    assert differences(replace(FOUND, route=text))["share of app1"] == "gets 0 % instead of 60 %"


def test_images_networks_and_volumes_that_are_gone() -> None:
    found = replace(FOUND, images={}, networks=frozenset({"bridge"}), volumes=frozenset())
    assert differences(found) == {
        "image lb-net/apps/app1:12": "is not there",
        "network lb-net": "is not there",
        "volume lb-route": "is not there",
    }


def test_an_image_name_that_leads_elsewhere() -> None:
    found = replace(FOUND, images={"lb-net/apps/app1:12": "sha256:c3"})
    assert differences(found) == {"image lb-net/apps/app1:12": "leads to another image"}


def test_what_no_state_knows_and_what_an_update_left() -> None:
    found = replace(FOUND, orphans=(Orphan("container", "by-hand", None),))
    wanted = replace(WANTED, replaced=("container lb-old",), unfinished=("creating image app1",))
    assert differences(found, wanted) == {
        "container by-hand": "carries the labels, but no state knows it",
        "container lb-old": "was replaced, but not removed",
        "creating image app1": "an update was cut off, or still runs",
    }


def test_a_stack_that_declares_nothing_has_no_rows() -> None:
    assert deployment.parse({}) == Declared()
    assert compare(Declared(), FOUND) == []


def test_the_state_as_pulumi_exports_it() -> None:
    def resource(kind: str, title: str, id_: str, **outputs: object) -> dict[str, object]:
        urn = f"urn:pulumi:dev::loadbalancer::{kind}::{title}"
        return {"type": kind, "urn": urn, "id": id_, "parent": "app1", "outputs": outputs}

    kind = "docker:index/container:Container"
    port = {"ip": "127.0.0.1", "external": 8080, "internal": 8080, "protocol": "tcp"}
    networks = [{"name": "lb-net", "aliases": ["app1"]}]
    outputs = {"image": "sha256:old", "ports": [port], "networksAdvanced": networks}
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
    container = deployment.Container(
        urn=str(new["urn"]),
        id="2",
        name="lb-app1-new",
        image="sha256:new",
        networks={"lb-net": ("app1",)},
        ports=frozenset({PORT}),
    )
    known = {"1", "2", "n", "lb:1", "lb-net", "lb-app1-new", "lb-app1-old", "lb-route-1"}
    assert found == Declared(
        url="http://here",
        containers=(container,),
        images=(Image("lb:1", "sha256:new"),),
        networks=frozenset({"lb-net"}),
        volumes=frozenset({"lb-route-1"}),
        route=Route("2", TEXT),
        replaced=("container lb-app1-old",),
        unfinished=("creating container app1",),
        known=frozenset(known | {"sha256:new", "sha256:newlb"}),
    )


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


def shown(status: Status, *, terminal: bool = False, width: int = 80) -> list[str]:
    file = io.StringIO()
    width_ = width if terminal else None
    show(status, Console(file=file, force_terminal=terminal, width=width_, color_system=None))
    return [line.rstrip() for line in file.getvalue().splitlines()]


LONG = Row(f"container {'x' * 150}", "running", "nothing [b]", "is not there")


def test_without_a_terminal_every_row_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = shown(Status("dev", "http://here", (LONG,)))
    assert len(lines) == 4
    cells = [LONG.what, LONG.declared, LONG.real, LONG.difference]
    assert re.split(" {2,}", lines[1]) == cells
    assert lines[-1] == "dev is not as declared: 1 of 1 differ. Mend it: make repair STACK=dev"


def test_a_narrow_terminal_folds_and_loses_nothing() -> None:
    lines = shown(Status("dev", "", (LONG,)), terminal=True, width=40)
    assert max(map(len, lines[:-1])) <= 40
    assert "".join(lines).count("x") == 150
    assert lines[-1].endswith("make repair STACK=dev")


def test_the_last_line_of_a_stack_without_drift() -> None:
    row = Row("port 8080", "127.0.0.1:8080", "127.0.0.1:8080")
    assert shown(Status("dev", "http://here", (row,)))[-1] == (
        "dev is as declared and answers at http://here."
    )
    (line,) = shown(Status("dev", "", ()))
    assert line == "dev declares nothing yet. Bring it up: make up STACK=dev"
    assert compare(Declared(), Real()) == []
