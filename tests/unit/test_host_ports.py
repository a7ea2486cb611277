"""Ports of the host: which are in use by something else, and what is said of those."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer import engine, names
from loadbalancer.config import checks, load
from loadbalancer.engine import ports

APPS = ("app1", "app2")
OWN = names.labels("loadbalancer", "dev")


def client(*published: tuple[str, int, dict[str, str]]) -> engine.Client:
    """Return an engine with containers, each with a name, a port of the host and labels."""
    summaries: list[dict[str, Any]] = [
        {
            "Id": name,
            "Names": [f"/{name}"],
            "State": "running",
            "Labels": labels,
            "Ports": [{"IP": "127.0.0.1", "PublicPort": port, "PrivatePort": 80, "Type": "tcp"}],
        }
        for name, port, labels in published
    ]
    return cast(
        engine.Client, SimpleNamespace(api=SimpleNamespace(containers=lambda **_: summaries))
    )


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that another program listens on, on the machine of the engine."""
    monkeypatch.setattr(engine, "remote_host", lambda: None)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_of_another_container(listener: int) -> None:
    found = ports.in_use(client(("web", 8080, {}), ("db", 5432, {})), {8080: "127.0.0.1"}, OWN)
    assert found == {8080: "container web"}


@pytest.mark.parametrize("key", [names.PROJECT, names.STACK])
def test_a_port_of_another_stack(listener: int, key: str) -> None:
    other = client(("web", 8080, {**OWN, key: "other"}))
    assert ports.in_use(other, {8080: "127.0.0.1"}, OWN) == {8080: "container web"}


def test_a_port_of_the_stack_itself(listener: int) -> None:
    # Docker listens on it, so that it is bound as well.
    own = client(("nginx", listener, OWN))
    assert ports.in_use(own, {listener: "127.0.0.1"}, OWN) == {}
    assert ports.in_use(own, {listener: "127.0.0.1"}, {}) == {listener: "container nginx"}


def test_a_port_of_another_program(listener: int) -> None:
    assert ports.in_use(client(), {listener: "127.0.0.1"}, OWN) == {listener: "another program"}


def test_programs_of_this_machine_do_not_count_for_an_engine_elsewhere(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "remote_host", lambda: "10.0.0.1")
    assert ports.in_use(client(), {listener: "127.0.0.1"}, OWN) == {}


def test_every_configured_port_is_checked_on_its_address() -> None:
    values = {"bind": "::1", "apps": '{"app1":{"directPort":5001},"app2":{"directPort":0}}'}
    settings = load.load(values, APPS)
    assert checks.host_addresses(settings) == {8080: "::1", 9113: "127.0.0.1", 5001: "::1"}
    assert checks.host_addresses(load.load({"port": "0", "adminPort": "0"}, APPS)) == {}


def test_a_fault_names_what_uses_the_port() -> None:
    values = {"port": "65535", "apps": '{"app1":{"directPort":5001}}'}
    used = {65535: "another program", 5001: "container web", 80: "another program"}
    found = [str(one) for one in checks.ports_in_use(load.load(values, APPS), used)]
    assert found == [
        "port: 65535 is in use on this host by another program. "
        "Free it, or use another: pulumi config set port 65534",
        "apps.app1.directPort: 5001 is in use on this host by container web. "
        "Free it, or use another: pulumi config set --path apps.app1.directPort 5002",
    ]
