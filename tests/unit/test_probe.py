"""Published addresses: which there are, and what a client gets there."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import ClassVar, cast

import pytest

from loadbalancer import engine
from loadbalancer.drift import probe
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.engine import Client
from loadbalancer.engine.container import Port
from loadbalancer.state.deployment import DesiredContainer

SHORT = 0.3
"""Seconds after which an address that does not answer is given up here."""


def hosts(ip: str, remote: str | None = None, protocol: str = "tcp") -> list[str]:
    ports = frozenset({Port(ip, 8080, 80, protocol)})
    one = DesiredContainer("urn", "id", "name", "image", ports=ports)
    return [found.host for found in probe.addresses([one], remote)]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an address of each family that others reach."""
    own = {"0.0.0.0": "10.1.2.3", "::": "fd00::3"}  # noqa: S104 - a key
    monkeypatch.setattr(probe, "_own_address", own.get)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("ip", "remote", "expected"),
    [
        ("127.0.0.1", None, ["127.0.0.1"]),
        ("10.1.2.3", None, ["10.1.2.3"]),
        ("0.0.0.0", None, ["127.0.0.1", "10.1.2.3"]),  # noqa: S104 - published there
        ("", None, ["127.0.0.1", "10.1.2.3"]),
        ("::", None, ["::1", "fd00::3"]),
        ("127.0.0.1", "far", []),
        ("0.0.0.0", "far", ["far"]),  # noqa: S104 - published there
        ("10.9.9.9", "far", ["10.9.9.9"]),
        ("0.0.0.0", probe.TUNNEL, []),  # noqa: S104 - published there
    ],
)
def test_an_address_is_asked_from_wherever_clients_are(
    ip: str, remote: str | None, expected: list[str]
) -> None:
    assert hosts(ip, remote) == expected


def test_a_port_of_udp_is_not_asked() -> None:
    assert hosts("127.0.0.1", protocol="udp") == []


def test_an_address_as_a_client_writes_it() -> None:
    assert Published("127.0.0.1", 80, "id").url == "http://127.0.0.1:80"
    assert Published("::1", 80, "id").url == "http://[::1]:80"


def test_an_address_of_this_machine_is_none_of_loopback() -> None:
    found = probe._own_address("0.0.0.0")  # noqa: S104 - any
    assert found is None or not found.startswith("127.")


@pytest.mark.parametrize(
    ("remote", "name", "expected"),
    [
        (None, "far", None),
        ("10.1.2.3", "far", "10.1.2.3"),
        ("127.0.0.1", socket.gethostname(), None),
        ("localhost", "far", probe.TUNNEL),
    ],
)
def test_a_loopback_address_may_be_a_tunnel_to_another_machine(
    remote: str | None, name: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "remote_host", lambda: remote)
    client = cast(Client, SimpleNamespace(info=lambda: {"Name": name}))
    assert probe.engine_host(client) == expected


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with the status that its path's port is for."""

    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, ""),
        (302, ""),
        (401, ""),
        (404, ""),
        (500, ""),
        (502, "answers 502"),
        (503, "answers 503"),
    ],
)
def test_an_answer_of_any_app_is_one(
    status: int, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr(Server, "status", status)
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = probe.ask("127.0.0.1", server.server_port)
        thread.join()
    assert found == Answer(status, problem)


@contextmanager
def listening(serve: Callable[[socket.socket], None] | None, count: int = 1) -> Iterator[int]:
    """Listen on a port; so many connections are served, or none is accepted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if serve is not None:

            def accept() -> None:
                for _ in range(count):
                    serve(server.accept()[0])

            threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def test_a_port_that_nobody_listens_on_is_dead() -> None:
    with listening(None) as port:
        pass
    assert probe.ask("127.0.0.1", port) == Answer(problem="refuses connections", dead=True)


def test_a_port_that_expects_the_proxy_protocol_is_not_dead() -> None:
    def serve(client: socket.socket) -> None:
        if client.recv(15) == b"PROXY UNKNOWN\r\n":
            client.recv(1000)
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.close()

    with listening(serve, count=2) as port:
        assert probe.ask("127.0.0.1", port) == Answer(204)


def test_a_proxy_that_finds_no_program_behind_it_is_dead() -> None:
    with listening(lambda client: client.close(), count=2) as port:
        found = probe.ask("127.0.0.1", port)
    assert found == Answer(problem="closes connections without an answer", dead=True)


def test_a_server_that_is_only_busy_is_not_dead() -> None:
    with listening(None) as port:
        found = probe.ask("127.0.0.1", port, SHORT)
    assert found == Answer(problem="no answer within 0.3 s")


def test_a_host_without_a_route_is_not_a_dead_port() -> None:
    found = probe.ask("host.invalid", 80, SHORT)
    assert found.problem.startswith("cannot be reached: ")
    assert not found.dead


def test_all_addresses_are_asked_at_the_same_time() -> None:
    count = 8

    def answer_once_all_have_come() -> None:
        clients = [server.accept()[0] for _ in range(count)]
        for client in clients:
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_once_all_have_come, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        every = [Published("127.0.0.1", port, str(number)) for number in range(count)]
        assert probe.ask_all(every, 60) == dict.fromkeys(every, Answer(204))
        thread.join()
    assert probe.ask_all([]) == {}
