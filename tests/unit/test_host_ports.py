"""Ports of the host: which are in use by something else, and what is said of those."""

import re
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer import engine, names
from loadbalancer.config import host_ports, load, port_checks
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.host_ports import HostPort
from loadbalancer.engine import container, ports
from loadbalancer.engine.container import Container

APPS = ("app1", "app2")
FIX = FixCommands({})
OWN = names.labels("loadbalancer", "dev")


def client(*published: tuple[str, HostPort, dict[str, str]]) -> engine.Client:
    """Return an engine with containers, each with a name, a port of the host and labels."""
    summaries: list[dict[str, Any]] = [
        {
            "Id": name,
            "Names": [f"/{name}"],
            "State": "running",
            "Labels": labels,
            "Ports": [{"IP": at.ip, "PublicPort": at.port, "PrivatePort": 8080, "Type": "tcp"}],
        }
        for name, at, labels in published
    ]
    return cast(
        engine.Client, SimpleNamespace(api=SimpleNamespace(containers=lambda **_: summaries))
    )


def local(port: int) -> HostPort:
    return HostPort("127.0.0.1", port)


def holder(one: Container) -> str | None:
    return None if OWN.items() <= one.labels.items() else f"container {one.name}"


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Have another program listen on an address of this machine, which the engine is on."""
    monkeypatch.setattr(engine, "remote_host", lambda: None)
    sockets: list[socket.socket] = []

    def start(address: str = "127.0.0.1", port: int = 0) -> int:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, port), family=family)
        sockets.append(listening)
        return int(listening.getsockname()[1])

    yield start
    for one in sockets:
        one.close()


def test_a_port_of_another_container(listen: Callable[..., int]) -> None:
    found = client(("web", local(8080), {}), ("db", local(5432), {}))
    assert ports.in_use(found, [local(8080)], holder) == {local(8080): "container web"}


@pytest.mark.parametrize(
    ("held", "wanted", "conflict"),
    [
        ("127.0.0.1", "0.0.0.0", True),  # noqa: S104
        ("0.0.0.0", "192.0.2.1", True),  # noqa: S104
        ("", "192.0.2.1", True),
        ("192.0.2.1", "127.0.0.1", False),
        ("::", "::1", True),
        # Docker listens on each family of its own.
        ("::", "0.0.0.0", False),  # noqa: S104
    ],
)
def test_a_port_is_in_use_on_addresses_that_overlap(
    monkeypatch: pytest.MonkeyPatch, held: str, wanted: str, *, conflict: bool
) -> None:
    monkeypatch.setattr(engine, "remote_host", lambda: "engine")
    found = client(("web", HostPort(held, 8080), {}))
    assert bool(ports.in_use(found, [HostPort(wanted, 8080)], holder)) == conflict
    assert ports.in_use(found, [HostPort(wanted, 8081)], holder) == {}


@pytest.mark.parametrize("key", [names.PROJECT, names.STACK])
def test_a_port_of_another_stack(listen: Callable[..., int], key: str) -> None:
    other = client(("web", local(8080), {**OWN, key: "other"}))
    assert ports.in_use(other, [local(8080)], holder) == {local(8080): "container web"}


def test_a_port_of_the_stack_itself(listen: Callable[..., int]) -> None:
    # Docker listens on it, so that it is bound as well.
    port = local(listen())
    own = client(("nginx", port, OWN))
    assert ports.in_use(own, [port], holder) == {}
    assert ports.in_use(own, [port], lambda one: one.name) == {port: "nginx"}


def test_a_port_of_another_program(listen: Callable[..., int]) -> None:
    port = local(listen())
    assert ports.in_use(client(), [port], holder) == {port: "another program"}


def test_another_program_beside_the_stack_on_the_same_port(listen: Callable[..., int]) -> None:
    port = listen("127.0.0.1")
    own = client(("nginx", local(port), OWN))
    everywhere = HostPort("0.0.0.0", port)  # noqa: S104
    assert ports.in_use(own, [everywhere], holder) == {}
    listen("127.0.0.2", port)
    assert ports.in_use(own, [everywhere], holder) == {everywhere: "another program"}


def test_another_program_that_listens_for_ipv6(listen: Callable[..., int]) -> None:
    port = listen("::1")
    every = HostPort("::", port)
    assert ports.in_use(client(), [every], holder) == {every: "another program"}
    own = client(("nginx", HostPort("::1", port), OWN))
    assert ports.in_use(own, [every], holder) == {}


def test_programs_of_this_machine_do_not_count_for_an_engine_elsewhere(
    listen: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = local(listen())
    monkeypatch.setattr(engine, "remote_host", lambda: "10.0.0.1")
    assert ports.in_use(client(), [port], holder) == {}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104
        ("::1", True),
        ("192.0.2.1", False),
        ("ff::1", False),
        ("fe80::1%none", False),
        ("224.0.0.1", False),  # multicast
        ("255.255.255.255", False),  # broadcast
    ],
)
def test_whether_this_host_has_an_address(address: str, *, expected: bool) -> None:
    assert ports.is_local(address) == expected


def test_every_configured_port_is_checked_on_its_addresses() -> None:
    values = {"bind": "::1", "apps": '{"app1":{"directPort":5001},"app2":{"directPort":0}}'}
    settings = load.load(values, APPS)
    assert host_ports.configured(settings) == {
        "port": [HostPort("::1", 8080)],
        "adminPort": [local(9113)],
        "apps.app1.directPort": [HostPort("::1", 5001)],
    }
    assert host_ports.configured(load.load({"port": "0", "adminPort": "0"}, APPS)) == {}


def test_ports_of_an_app_that_is_not_deployed_are_not_needed() -> None:
    settings = load.load({"apps": '{"lab":{"directPort":5001}}'}, (*APPS, "lab"))
    assert "apps.lab.directPort" not in host_ports.configured(settings)


def test_all_of_ipv6_means_ipv4_as_well() -> None:
    settings = load.load({"bind": "::"}, APPS)
    expected = [HostPort("0.0.0.0", 8080), HostPort("::", 8080)]  # noqa: S104
    assert host_ports.configured(settings)["port"] == expected


def test_a_fault_names_what_uses_the_port() -> None:
    values = {"port": "65535", "apps": '{"app1":{"directPort":5001}}'}
    used = {
        local(65535): "another program",
        local(5001): "container web",
        local(80): "another program",
    }
    found = [str(one) for one in port_checks.ports_in_use(load.load(values, APPS), used, FIX)]
    assert found == [
        "port: 65535 is in use on this host by another program. "
        "Free it, or use another: pulumi config set port 1024",
        "apps.app1.directPort: 5001 is in use on this host by container web. "
        "Free it, or use another: pulumi config set --path apps.app1.directPort 5002",
    ]


def test_each_suggested_port_is_free_and_suggested_once() -> None:
    values = {"port": "8080", "adminPort": "8081", "apps": '{"app1":{"directPort":8082}}'}
    used = {local(port): "container web" for port in (8080, 8081, 8082)}
    settings = load.load(values, APPS)
    found = port_checks.ports_in_use(settings, used, FIX, lambda one: one.port != 8083)
    assert [re.findall(r"\d+$", str(one)) for one in found] == [["8084"], ["8085"], ["8086"]]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1", "is not an address of this host"),
        ("::", "needs IPv6, which this host does not have"),
    ],
)
def test_an_address_that_the_host_does_not_have(address: str, reason: str) -> None:
    settings = load.load({"bind": address}, APPS)
    (found,) = port_checks.addresses_elsewhere(settings, lambda ip: ip == "0.0.0.0", FIX)  # noqa: S104
    assert str(found) == (
        f"bind: {address} {reason}. Use this host alone: pulumi config set bind 127.0.0.1, or all "
        "its addresses: pulumi config set bind 0.0.0.0"
    )
    assert not list(port_checks.addresses_elsewhere(settings, lambda _: True, FIX))


def published(*containers: tuple[str | None, int, int]) -> dict[str, set[HostPort]]:
    """What containers publish now, each by its app, its port of the host, and its own port."""
    return ports.by_key(
        Container(
            *("id", "name", "running", None, "image"),
            labels={names.APP: app} if app else {},
            ports=frozenset({container.Port("127.0.0.1", external, internal)}),
        )
        for app, external, internal in containers
    )


NOW = published((None, 8080, 8080), (None, 9113, 9113), ("app1", 8213, 10_001))


def test_a_port_that_goes_from_an_app_to_nginx_takes_two_updates() -> None:
    settings = load.load({"port": "8213"}, APPS)
    (found,) = port_checks.ports_held_by_other_containers(settings, NOW, FIX)
    assert str(found) == (
        "port: 8213 is published by app1 (apps.app1.directPort) until its new container serves. "
        "Take two updates. Now: pulumi config set port 8080 && pulumi up. "
        "Then: pulumi config set port 8213 && pulumi up"
    )


def test_a_port_that_goes_from_nginx_to_an_app_takes_two_updates() -> None:
    values = {"port": "8090", "apps": '{"app2":{"directPort":8080}}'}
    (found,) = port_checks.ports_held_by_other_containers(load.load(values, APPS), NOW, FIX)
    assert str(found) == (
        "apps.app2.directPort: 8080 is published by nginx (port) until its new container serves. "
        "Take two updates. Now: pulumi config rm --path apps.app2.directPort && pulumi up. "
        "Then: pulumi config set --path apps.app2.directPort 8080 && pulumi up"
    )


def test_ports_that_two_apps_exchange_take_two_updates() -> None:
    now = published(("app1", 5001, 10_001), ("app2", 5002, 10_002))
    values = {"apps": '{"app1":{"directPort":5002},"app2":{"directPort":5001}}'}
    found = list(port_checks.ports_held_by_other_containers(load.load(values, APPS), now, FIX))
    assert [one.key for one in found] == ["apps.app1.directPort", "apps.app2.directPort"]
    assert all("config rm --path apps.app" in one.fix for one in found)


@pytest.mark.parametrize(
    "values",
    [
        {"apps": '{"app1":{"directPort":8213}}'},
        {"port": "9113", "adminPort": "8080"},  # both are nginx's own
        {"bind": "0.0.0.0", "apps": '{"app1":{"directPort":8213}}'},  # noqa: S104
        {"port": "8214"},
    ],
)
def test_a_container_takes_over_the_ports_of_its_predecessor(values: dict[str, str]) -> None:
    assert not list(port_checks.ports_held_by_other_containers(load.load(values, APPS), NOW, FIX))


def test_the_preview_names_the_order_and_the_gap() -> None:
    settings = load.load({"drain": "3"}, APPS)
    found = port_checks.replacement_advice(settings, NOW, ["its image"])
    assert found == (
        "nginx's container is replaced, since its image changes. The new one is tried beside the "
        "old one, without ports. Then the old one stops, after at most 3 s for requests in flight, "
        "and the new one takes its place. Expect about 1 s without answers on 127.0.0.1:8080, "
        "127.0.0.1:9113"
    )
    moved = load.load({"port": "8090", "adminPort": "9090"}, APPS)
    assert "serves before the old one is removed" in port_checks.replacement_advice(
        moved, NOW, ["port"]
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"port": "8090"}, ["port"]),
        ({"bind": "::"}, ["bind"]),
        ({"port": "0"}, []),
        ({"port": "9113", "adminPort": "8080"}, ["port", "adminPort"]),
    ],
)
def test_which_ports_of_nginx_change(values: dict[str, str], expected: list[str]) -> None:
    assert list(port_checks.changed_ports(load.load(values, APPS), NOW)) == expected
    assert not list(port_checks.changed_ports(load.load(values, APPS), {}))


def test_against_an_engine_elsewhere_the_keys_that_lead_there_are_named() -> None:
    found = list(port_checks.remote_advice(load.load({}, APPS), "engine.example", FIX))
    assert found == [
        "bind: 127.0.0.1 is reached from engine.example alone, where the Docker engine is. Publish "
        "the port on all its addresses: pulumi config set bind 0.0.0.0",
        "adminPort: 9113 is reached from engine.example alone, where the Docker engine is. Forward "
        "it from here: ssh -N -L 9113:127.0.0.1:9113 engine.example",
    ]
    everywhere = load.load({"bind": "0.0.0.0"}, APPS)  # noqa: S104
    (admin,) = port_checks.remote_advice(everywhere, "engine.example", FIX)
    assert admin.startswith("adminPort")
    for here in (None, "127.0.0.1", "localhost"):
        assert not list(port_checks.remote_advice(load.load({}, APPS), here, FIX))
