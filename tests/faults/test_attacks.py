"""Many idle connections and slow clients, beside which normal requests are answered."""

import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice

import docker
import pytest
import requests

from loadbalancer.engine import exec
from tests.apps import proxies
from tests.apps.containers import PATIENCE, wait_for
from tests.apps.proxies import Proxy
from toolchain import devtools

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

IDLE = 20_000
SPARE = 100
"""File descriptors of a process for other things than connections."""
TOGETHER = 1000
REQUESTS = 200


@pytest.fixture
def proxy(client: docker.DockerClient, nginx_image: str, stubs: dict[str, str]) -> Iterator[Proxy]:
    """An nginx of the test's own, with the default settings."""
    with proxies.proxy(client, nginx_image) as one:
        one.configure()
        one.route(stubs)
        yield one


@contextmanager
def all_descriptors() -> Iterator[int]:
    """Allow this process as many file descriptors as it may have; yields how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answers(proxy: Proxy) -> list[int]:
    """Send requests as others do meanwhile, each on a connection of its own."""
    return [requests.get(proxy.url("/name"), timeout=PATIENCE).status_code for _ in range(REQUESTS)]


def test_idle_connections_leave_normal_requests_untouched(proxy: Proxy) -> None:
    request = b"GET /name HTTP/1.1\r\nHost: a\r\n\r\n"
    with all_descriptors() as most, ExitStack() as cleanup:
        for number in range(min(IDLE, most - SPARE)):
            connection = socket.create_connection((proxy.address, 8080), timeout=PATIENCE)
            cleanup.callback(connection.close)
            if number % 2:  # the others have not asked for anything yet
                connection.sendall(request)
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert answers(proxy) == [200] * REQUESTS
    assert answers(proxy) == [200] * REQUESTS


@pytest.mark.parametrize("attack", ["-H", "-B", "-X"])
def test_slow_attacks_leave_normal_requests_untouched(proxy: Proxy, attack: str) -> None:
    program = devtools.find("slowhttptest")
    assert program, "slowhttptest is missing: python3 -m toolchain --dev"
    rate = ["-c", "4000", "-r", "400", "-i", "5", "-l", "40", "-p", "60"]
    target = proxy.url("/big/1" if attack == "-X" else "/echo")
    command = [str(program), attack, *rate, "-u", target]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as attacker:
        wait_for(lambda: connections(proxy) > TOGETHER, "the attack")
        assert answers(proxy) == [200] * REQUESTS
        attacker.wait(600)
    # A header that takes too long ends its connection, and so does a client that is gone.
    wait_for(lambda: connections(proxy) < SPARE, "nginx to give the connections up")


def connections(proxy: Proxy) -> int:
    """Count the connections that nginx has."""
    code, table = exec.run(proxy.container, ["cat", "/proc/net/tcp"])
    assert code == 0
    rows = (line.split() for line in islice(table.splitlines(), 1, None))
    return sum(row[1].endswith(":1F90") and row[3] == "01" for row in rows)
