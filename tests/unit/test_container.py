"""Containers in the engine's responses: the list and the inspection give the same facts."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from requests import ConnectionError as NoConnectionError

from loadbalancer.engine import Client, EngineError, NotFound, container
from loadbalancer.engine.container import Container, Details, Limits, Port

SUMMARY = {
    "Id": "id-1",
    "Names": ["/web"],
    "ImageID": "sha256:a1",
    "Labels": {"app": "app1"},
    "State": "running",
    "Status": "Up 5 minutes (healthy)",
    "Ports": [
        {"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"},
        {"PrivatePort": 9113, "Type": "tcp"},
    ],
    "NetworkSettings": {"Networks": {"lb-net": {}}},
}
INSPECTION = {
    "Id": "id-1",
    "Name": "/web",
    "Image": "sha256:a1",
    "Config": {"Labels": {"app": "app1"}},
    "State": {"Status": "running", "Health": {"Status": "healthy"}},
    "RestartCount": 2,
    "HostConfig": {
        "Memory": 268435456,
        "MemorySwap": 268435456,
        "CpuPeriod": 100_000,
        "CpuQuota": 150_000,
        "NanoCpus": 0,
        "RestartPolicy": {"Name": "unless-stopped"},
    },
    "Mounts": [
        {"Type": "volume", "Name": "lb-route", "Destination": "/etc/nginx/route"},
        {"Type": "bind", "Source": "/x", "Destination": "/x"},
    ],
    "NetworkSettings": {
        "Networks": {"lb-net": {"Aliases": ["web", "0123456789ab"]}},
        "Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}], "9113/tcp": None},
    },
}
WEB = Container(
    "id-1",
    "web",
    "running",
    "healthy",
    "sha256:a1",
    {"app": "app1"},
    frozenset({"lb-net"}),
    frozenset({Port("127.0.0.1", 80, 8080)}),
)


class Api:
    """Docker's API with one response; an error is raised."""

    def __init__(self, response: object) -> None:
        self.response = response
        self.filters: object = None

    def containers(self, *, all: bool, filters: object) -> object:
        assert all
        self.filters = filters
        return self._answer()

    def inspect_container(self, id_: str) -> object:
        return self._answer()

    def _answer(self) -> object:
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    @property
    def client(self) -> Client:
        return cast(Client, SimpleNamespace(api=self))


def listed(**changes: object) -> Container:
    (found,) = container.find(Api([{**SUMMARY, **changes}]).client)
    return found


def inspected(**changes: object) -> Container:
    found = container.inspect(Api({**INSPECTION, **changes}).client, "id-1")
    assert found
    return found


def test_a_list_and_an_inspection_agree() -> None:
    assert listed() == WEB
    assert replace(inspected(), details=None) == WEB


def test_an_inspection_tells_more_than_a_list() -> None:
    assert listed().details is None
    assert inspected().details == Details(
        limits=Limits(memory=268435456, memory_swap=268435456, cpus=1.5, restart="unless-stopped"),
        aliases={"lb-net": frozenset({"web", "0123456789ab"})},
        volumes={"/etc/nginx/route": "lb-route"},
        restarts=2,
    )


@pytest.mark.parametrize(
    ("host", "limits"),
    [
        ({}, Limits()),
        ({"Memory": 1, "MemorySwap": -1, "NanoCpus": 500_000_000}, Limits(1, 0, 0.5)),
        ({"CpuQuota": 50_000}, Limits(cpus=0.5)),
        ({"RestartPolicy": {"Name": ""}}, Limits()),
    ],
)
def test_limits_in_all_forms_of_docker(host: Mapping[str, Any], limits: Limits) -> None:
    found = inspected(HostConfig=host).details
    assert found
    assert found.limits == limits


@pytest.mark.parametrize(
    ("state", "text", "inspection", "works", "stopped"),
    [
        ("running", "Up 5 minutes", {"Status": "running"}, True, False),
        ("running", "Up 2 s (health: starting)", {"Health": {"Status": "starting"}}, False, False),
        ("running", "Up 2 hours (unhealthy)", {"Health": {"Status": "unhealthy"}}, False, False),
        ("exited", "Exited (137) 3 minutes ago", {"Status": "exited"}, False, True),
        ("created", "Created", {"Status": "created"}, False, True),
        ("restarting", "Restarting (1) 2 seconds ago", {"Status": "restarting"}, False, False),
    ],
)
def test_status_and_health(
    state: str, text: str, inspection: Mapping[str, Any], works: bool, stopped: bool
) -> None:
    of_list = listed(State=state, Status=text)
    of_inspection = inspected(State={"Status": "running", **inspection})
    assert (of_list.status, of_list.health) == (of_inspection.status, of_inspection.health)
    assert (of_list.works, of_list.stopped) == (works, stopped)


def test_a_container_that_is_being_removed_may_have_no_name() -> None:
    assert listed(Names=None, Id="0123456789abcdef", NetworkSettings=None, Ports=None) == Container(
        "0123456789ab" + "cdef", "0123456789ab", "running", "healthy", "sha256:a1", {"app": "app1"}
    )


def test_labels_are_a_filter_of_the_engine() -> None:
    api = Api([])
    assert container.find(api.client, {"a": "1", "b": "2"}) == []
    assert api.filters == {"label": ["a=1", "b=2"]}
    container.find(api.client)
    assert api.filters is None


def test_a_container_that_does_not_exist() -> None:
    assert container.inspect(Api(NotFound("gone")).client, "id-1") is None


@pytest.mark.parametrize("error", [NoConnectionError("refused"), EngineError("refused")])
def test_without_an_engine_the_list_is_an_engine_error(error: Exception) -> None:
    with pytest.raises(EngineError, match="refused"):
        container.find(Api(error).client)


@pytest.mark.parametrize(
    ("port", "text"),
    [
        (Port("127.0.0.1", 80, 8080), "127.0.0.1:80"),
        (Port("::1", 80, 8080), "[::1]:80"),
        (Port("0.0.0.0", 53, 53, "udp"), "0.0.0.0:53/udp"),  # noqa: S104 - only written
    ],
)
def test_a_port_as_text(port: Port, text: str) -> None:
    assert str(port) == text
