"""SIGTERM: what is in flight is finished, and nothing else delays the exit."""

import time
from contextlib import ExitStack

import pytest

from tests.apps.conformance.conftest import Start
from tests.apps.conformance.wire import IncompleteError, Wire, request


def test_an_idle_server_exits(start: Start) -> None:
    server = start()
    server.terminate()
    assert server.wait_for_exit() == 0


def test_idle_connections_are_closed_in_order(start: Start) -> None:
    server = start()
    with ExitStack() as cleanup:
        wires = [cleanup.enter_context(Wire(server.address)) for _ in range(20)]
        for wire in wires[10:]:
            assert wire.get("/hello").body == b"hello"
        server.terminate()
        assert server.wait_for_exit() == 0
        assert [wire.socket.recv(1) for wire in wires] == [b""] * 20


def test_a_request_in_flight_is_finished(start: Start) -> None:
    server = start()
    with Wire(server.address) as wire:
        wire.send(request("/gate/a"))
        server.notes.wait_for("asked a")
        server.terminate()
        server.wait_until_it_refuses()
        # Docker and people may send it more than once.
        server.terminate()
        server.notes.open("gate")
        assert wire.response().body == b"passed"
        assert server.wait_for_exit() == 0
        assert wire.is_closed()


def test_a_stream_is_sent_to_its_end(start: Start) -> None:
    server = start()
    with Wire(server.address) as wire:
        wire.send(request("/events/s"))
        wire.head()
        wire.chunk()
        server.terminate()
        server.wait_until_it_refuses()
        for number in range(3):
            server.notes.open(f"s-{number}")
        assert [wire.chunk() for _ in range(3)] == [b"data: 1\n\n", b"data: 2\n\n", b""]
        assert server.wait_for_exit() == 0


@pytest.mark.parametrize("size", [10, 200_000], ids=["small", "large"])
def test_a_body_that_is_still_being_sent_is_read_to_its_end(start: Start, size: int) -> None:
    server = start()
    half = b"x" * (size // 2)
    with Wire(server.address) as wire:
        wire.send(request("/count", b"Content-Length: %d" % size, method="POST", body=half))
        server.wait_until_read(1)
        server.terminate()
        server.wait_until_it_refuses()
        wire.send(half)
        assert wire.response().body == str(size).encode()
        assert server.wait_for_exit() == 0


def test_requests_that_wait_for_a_thread_are_answered(start: Start) -> None:
    server = start(THREADS=1)
    with ExitStack() as cleanup:
        wires = [cleanup.enter_context(Wire(server.address)) for _ in range(4)]
        for wire in wires:
            wire.send(request("/gate/w"))
        server.wait_until_read(4)
        server.terminate()
        server.wait_until_it_refuses()
        server.notes.open("gate")
        assert [wire.response().body for wire in wires] == [b"passed"] * 4
        assert server.wait_for_exit() == 0


@pytest.mark.faults
def test_the_grace_period_is_an_end(start: Start) -> None:
    server = start(GRACE_SECONDS=2)
    with Wire(server.address) as wire:
        wire.send(request("/gate/g"))
        server.notes.wait_for("asked g")
        started = time.monotonic()
        server.terminate()
        assert server.wait_for_exit() == 1
        assert time.monotonic() - started >= 2
        with pytest.raises(IncompleteError):
            wire.response()
    assert "cut off" in server.text()
