"""nginx's log of requests: whole lines, none lost, and as many as are configured."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import unquote_to_bytes

import docker
import docker.types
import pytest
import requests

from loadbalancer.resources.container import LOG_OPTIONS
from tests.apps.containers import PATIENCE
from tests.apps.proxy import Proxy, new_id, read_to_end, running
from tests.apps.upstream import Upstream

LONGEST = 4096
"""Bytes of one write to a pipe that another process's cannot tear apart."""


MORE_THAN_FITS = 8000
"""Requests with a line of 1.5 KB each, which Docker's buffer and its connection cannot hold."""


@pytest.fixture
def unread_syslog() -> Iterator[socket.socket]:
    """A server that takes the connection of Docker's log, and reads nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def ask(proxy: Proxy, path: str, ids: list[str]) -> None:
    """Send a request with each of the ids, on some connections at once."""

    def send(some: list[str]) -> None:
        with requests.Session() as session:
            for id_ in some:
                session.get(proxy.url(path), headers={"X-Request-ID": id_}, timeout=PATIENCE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, [ids[number::8] for number in range(8)]))


@pytest.mark.faults
@pytest.mark.parametrize("signal", ["SIGTERM", "SIGQUIT"])
def test_no_line_is_lost_when_nginx_stops(
    client: docker.DockerClient, nginx_image: str, stubs: Upstream, signal: str
) -> None:
    with running(client, nginx_image, stubs) as proxy:
        ids = [new_id() for _ in range(200)]
        ask(proxy, "/name", ids)
        proxy.container.kill(signal)
        proxy.container.wait()
        assert sorted(one["id"] for one in proxy.records()) == sorted(ids)


@pytest.mark.faults
def test_no_line_is_lost_by_a_reload(proxy: Proxy) -> None:
    ids = [new_id() for _ in range(400)]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, proxy, "/name", ids)
        for size in ("2MB", "3MB"):
            proxy.configure(http={"maxBody": size})
        asked.result()
    for id_ in ids[-8:]:  # the last one of each connection
        proxy.wait_for_record(id_)
    assert {one["id"] for one in proxy.records()} >= set(ids)


def test_lines_are_whole_however_long_the_request(proxy: Proxy) -> None:
    ids = [new_id() for _ in range(100)]
    ask(proxy, f"/name?{'%22' * 5000}", ids)
    for id_ in ids[-8:]:
        record = proxy.wait_for_record(id_)
        assert record["uri"].startswith("/name?%22%22")
        assert record["uri"].endswith("...")
    assert {one["id"] for one in proxy.records()} >= set(ids)  # each of which is valid JSON
    longest = max(map(len, proxy.container.logs(stdout=True, stderr=False).splitlines()))
    assert longest < LONGEST


def test_lines_are_utf_8_whatever_the_address(proxy: Proxy) -> None:
    # The last one would be cut within the two bytes of a character.
    addresses = (b"/name?\xe9\xff", "/name?é".encode(), b"/name?" + b"x" * 1492 + "é".encode())
    for address in addresses:
        id_ = new_id()
        head = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % address
        with proxy.connect(head + f"X-Request-ID: {id_}\r\n\r\n".encode()) as connection:
            assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")
        uri = proxy.wait_for_record(id_)["uri"]
        assert address.startswith(unquote_to_bytes(uri.removesuffix("...")))
        assert len(uri) > len("/name?")
        assert uri.isascii()


@pytest.mark.faults
def test_what_is_logged_is_configured(proxy: Proxy) -> None:
    logged = {}
    for kept in ("errors", "none", "all"):
        proxy.configure(accessLog=kept)
        ids = {path: new_id() for path in ("/name", "/header/33000")}
        for path, id_ in ids.items():
            requests.get(proxy.url(path), headers={"X-Request-ID": id_}, timeout=PATIENCE)
        logged[kept] = ids
    # Those of `all` come last, so that there is nothing more to wait for.
    for id_ in logged["all"].values():
        proxy.wait_for_record(id_)
    found = {one["id"] for one in proxy.records()}
    assert found & set(logged["errors"].values()) == {logged["errors"]["/header/33000"]}
    assert not found & set(logged["none"].values())


@pytest.mark.faults
def test_nginx_goes_on_while_nobody_takes_its_lines_from_docker(
    client: docker.DockerClient,
    nginx_image: str,
    stubs: Upstream,
    unread_syslog: socket.socket,
) -> None:
    address = f"tcp://127.0.0.1:{unread_syslog.getsockname()[1]}"
    config = {**LOG_OPTIONS, "syslog-address": address}
    log = docker.types.LogConfig(type="syslog", config=config)
    request = f"GET /name?{'x' * 1500} HTTP/1.1\r\nHost: a\r\n".encode()
    batch = 200
    with (
        running(client, nginx_image, stubs, log_config=log) as proxy,
        closing(unread_syslog),  # first, since Docker waits for its last line to be taken
    ):
        for _ in range(MORE_THAN_FITS // batch):
            last = request + b"Connection: close\r\n\r\n"
            with proxy.connect((request + b"\r\n") * (batch - 1) + last) as connection:
                assert read_to_end(connection).count(b"HTTP/1.1 200") == batch
