"""Many idle connections and slow clients, beside which normal requests are answered."""

import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import docker
import pytest
import requests

from loadbalancer import engine
from loadbalancer.engine import exec
from tests.apps.containers import PATIENCE, wait_for
from tests.apps.proxy import Proxy, running
from tests.apps.upstream import Upstream
from tests.stack import counters
from tests.stack.deployment import Deployment
from tests.stack.rolling import run
from toolchain import devtools

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

IDLE = 20_000
SPARE = 100
"""File descriptors of a process for other things than connections."""
FILES_OF_PORT_PROXY = 6
"""File descriptors that Docker's port proxy takes at most for each connection."""
SILENT = 1000
"""Idle connections that have not asked for anything, which nginx closes after 20 s."""
TOGETHER = 1000
REQUESTS = 200


@pytest.fixture
def proxy(client: docker.DockerClient, nginx_image: str, stubs: Upstream) -> Iterator[Proxy]:
    """An nginx of the test's own, with the default settings."""
    with running(client, nginx_image, stubs) as one:
        yield one


@pytest.fixture
def open_stack(module_stack: Deployment) -> Deployment:
    """A stack that is published on all addresses of this host."""
    if module_stack.applied is None:
        module_stack.set("bind", "0.0.0.0")  # noqa: S104
        module_stack.up()
    return module_stack


@contextmanager
def all_descriptors() -> Iterator[int]:
    """Allow this process as many file descriptors as it may have; yields how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answers(url: str) -> list[int]:
    """Send requests as others do meanwhile, each on a connection of its own."""
    return [requests.get(url, timeout=PATIENCE).status_code for _ in range(REQUESTS)]


@contextmanager
def idle(host: str, port: int, path: str, count: int) -> Iterator[None]:
    """Keep so many connections open: most of them after an answer, the last ones silent."""
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    connections: list[socket.socket] = []

    def connect(number: int) -> None:
        connection = socket.create_connection((host, port), timeout=PATIENCE)
        connections.append(connection)
        if number < count - SILENT:
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(connect, range(count)))
        yield
    finally:
        for connection in connections:
            connection.close()


def test_idle_connections_leave_normal_requests_untouched(proxy: Proxy) -> None:
    url = proxy.url("/name")
    with all_descriptors() as most:
        with idle(proxy.address, 8080, "/name", min(IDLE, most - SPARE)):
            assert answers(url) == [200] * REQUESTS
        assert answers(url) == [200] * REQUESTS


def port_proxy(port: int) -> int:
    """Find the process of Docker's proxy for a published port."""
    pattern = f"docker-proxy.* -host-ip 0.0.0.0 -host-port {port} "
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
    return int(found.stdout)


def files(process: int) -> int:
    """Count the open files of a process."""
    return len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208


@pytest.mark.parametrize("way", ["port proxy", "iptables"])
def test_idle_connections_to_the_published_port(open_stack: Deployment, way: str) -> None:
    """Programs on this host reach 127.0.0.1 by Docker's port proxy, others come by iptables."""
    port = int(open_stack.get("port"))
    through = port_proxy(port)
    with all_descriptors() as most:
        count = min(IDLE, most - SPARE)
        if way == "port proxy":
            host = "127.0.0.1"
            allowed, _ = resource.prlimit(through, resource.RLIMIT_NOFILE)
            count = min(count, allowed // FILES_OF_PORT_PROXY - SPARE)
        else:
            bridge = engine.connect().networks.get("bridge")
            host = str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])
        with idle(host, port, "/", count):
            # So that the name of the test is true; nginx closes connections that are idle for long.
            assert counters.read(open_stack).connections["active"] > count / 2
            assert (files(through) > count) == (way == "port proxy")
            assert answers(f"http://{host}:{port}/") == [200] * REQUESTS
            assert answers(open_stack.url) == [200] * REQUESTS
    counters.settled(open_stack)
    code, out = run(open_stack, "status")
    assert code == 0, out
    assert answers(open_stack.url) == [200] * REQUESTS


def test_nginx_takes_all_the_descriptors_that_the_engine_allows(
    client: docker.DockerClient, nginx_image: str, stubs: Upstream
) -> None:
    few = docker.types.Ulimit(name="nofile", soft=1024, hard=4096)
    with running(client, nginx_image, stubs, ulimits=[few]) as proxy:
        command = ["sh", "-c", "cat /proc/[0-9]*/limits | grep 'open files'"]
        limits = exec.run(proxy.container, command)[1].splitlines()
        # The master and two workers; the shell of this test has those of the container.
        assert [line.split()[3] for line in limits].count("4096") >= 3
        with idle(proxy.address, 8080, "/name", 3000):
            assert answers(proxy.url("/name")) == [200] * REQUESTS


@pytest.mark.parametrize("attack", ["-H", "-B", "-X"])
def test_slow_attacks_leave_normal_requests_untouched(proxy: Proxy, attack: str) -> None:
    program = devtools.find("slowhttptest")
    assert program, "slowhttptest is missing: python3 -m toolchain --dev"
    rate = ["-c", "4000", "-r", "400", "-i", "5", "-l", "40", "-p", "60"]
    target = proxy.url("/big/1" if attack == "-X" else "/echo")
    command = [str(program), attack, *rate, "-u", target]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as attacker:
        wait_for(lambda: connections(proxy) > TOGETHER, "the attack")
        assert answers(proxy.url("/name")) == [200] * REQUESTS
        attacker.wait(600)
    # A header that takes too long ends its connection, and so does a client that is gone.
    wait_for(lambda: connections(proxy) < SPARE, "nginx to give the connections up")


def connections(proxy: Proxy) -> int:
    """Count the connections that nginx has."""
    code, table = exec.run(proxy.container, ["cat", "/proc/net/tcp"])
    assert code == 0
    rows = (line.split() for line in islice(table.splitlines(), 1, None))
    return sum(row[1].endswith(":1F90") and row[3] == "01" for row in rows)
