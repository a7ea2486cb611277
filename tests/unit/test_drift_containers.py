"""Drift of containers and their ports: desired against actual, without Docker."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer.drift import actual
from loadbalancer.drift.compare import Row, compare
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.engine import Client, container
from loadbalancer.engine.container import Container, Details, Port
from loadbalancer.state.deployment import (
    Desired,
)
from tests.desired import APP, DESIRED, FOUND, HEALTHY, LIMITS, NGINX, differences, with_app


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
