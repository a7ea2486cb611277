"""The whole stack over DOCKER_HOST: nothing goes past the engine's address."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from docker import DockerClient

from loadbalancer import engine, names
from loadbalancer.engine import container, exec
from tests.stack.deployment import Deployment

SOCKET = "/var/run/docker.sock"


LATE = 0.05
"""Seconds by which the engine's answers come late, so that their parts arrive together."""


def _pass_on(source: socket.socket, target: socket.socket, late: float) -> None:
    """Copy bytes one way until the source ends, however it does; then end the target's too."""
    with suppress(OSError):
        while select.select([source], [], []):
            time.sleep(late)
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def engine_over_tcp() -> Iterator[tuple[str, list[int]]]:
    """The local engine under a TCP address, and how many connections came that way."""
    connections = [0]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            connections[0] += 1
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(SOCKET)
            for way in ((client, engine, 0.0), (engine, client, LATE)):
                threading.Thread(target=_pass_on, args=way, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}", connections
    finally:
        listener.close()


def test_a_command_in_a_container_loses_no_output(
    engine_over_tcp: tuple[str, list[int]], stack: Deployment
) -> None:
    address, _ = engine_over_tcp
    nginx = DockerClient(address).containers.get(str(stack.nginx().id))
    for _ in range(5):
        code, printed = exec.run(nginx, ["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert (code, sorted(printed.split())) == (7, ["err", "out"])
    assert exec.run(nginx, ["id", "-u"], user="0") == (0, "0\n")
    code, printed = exec.run(nginx, ["no-such-program"])
    assert code in {126, 127}
    assert "no-such-program" in printed


def test_the_list_and_the_inspection_of_containers_agree(stack: Deployment) -> None:
    client = engine.connect()
    inspected = [container.inspect(client, id_) for id_ in stack.ids().values()]
    found = {one.id: replace(one, details=None) for one in inspected if one}
    assert len(found) == 3
    listed = container.find(client, names.labels("loadbalancer", stack.name))
    assert {one.id: one for one in listed} == found


def test_destroy_up_change_and_refresh_over_docker_host(
    engine_over_tcp: tuple[str, list[int]],
    changing_stack: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (address, connections), stack = engine_over_tcp, changing_stack
    monkeypatch.setitem(stack.environment, "DOCKER_HOST", address)
    stack.destroy()
    assert stack.leftovers() == []
    stack.up()
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert stack.url.startswith("http://127.0.0.1:")
    before = connections[0]
    stack.set_weights(app1=7, app2=3)
    assert stack.up()["update"] == 1
    assert stack.shares(10) == {"app1": 7, "app2": 3}
    assert stack.refresh().keys() == {"same"}
    assert connections[0] > before > 0
