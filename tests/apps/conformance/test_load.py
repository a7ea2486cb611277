"""Slow clients, slow requests and many connections beside other requests."""

from contextlib import ExitStack
from random import Random

import pytest

from apps._server.server import MOST_PROBES
from tests.apps.conformance.conftest import Start
from tests.apps.conformance.servers import PATIENCE, Process, wait_for
from tests.apps.conformance.wire import Wire, request


def opened(cleanup: ExitStack, server: Process, count: int) -> list[Wire]:
    """Open connections; they are closed at the end of the test."""
    return [cleanup.enter_context(Wire(server.address)) for _ in range(count)]


def ask(server: Process, path: str = "/hello") -> bytes:
    """Send a request on a connection of its own; returns the body of the response."""
    with Wire(server.address) as wire:
        return wire.get(path).body


def test_slow_requests_beside_others(start: Start) -> None:
    # A1 of the list of cases, with the default number of threads.
    server = start()
    with ExitStack() as cleanup:
        slow = opened(cleanup, server, 16)
        for number, wire in enumerate(slow):
            wire.send(request(f"/gate/{number}"))
        for number in range(16):
            server.notes.wait_for(f"asked {number}")
        assert [ask(server) for _ in range(5)] == [b"hello"] * 5
        assert all(wire.is_silent() for wire in slow)
        server.notes.open("gate")
        assert [wire.response().body for wire in slow] == [b"passed"] * 16


def test_waiting_requests_are_answered_in_the_end(start: Start) -> None:
    server = start(THREADS=2)
    with ExitStack() as cleanup:
        wires = opened(cleanup, server, 20)
        for number, wire in enumerate(wires):
            wire.send(request(f"/gate/{number}"))
        server.wait_until_read(20)
        server.notes.open("gate")
        assert [wire.response().body for wire in wires] == [b"passed"] * 20


def test_streams_beside_other_requests(start: Start) -> None:
    server = start()
    with ExitStack() as cleanup:
        for number, wire in enumerate(opened(cleanup, server, 16)):
            wire.send(request(f"/endless/{number}"))
            wire.head()
        assert ask(server) == b"hello"


UNFINISHED = {
    "silent": b"",
    "head": b"GET /hello HTTP/1.1\r\nHost:",
    "small body": request("/body/read", b"Content-Length: 10", method="POST", body=b"12345"),
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_slow_clients_hold_up_nobody(start: Start, sent: bytes) -> None:
    server = start(THREADS=8)
    with ExitStack() as cleanup:
        slow = opened(cleanup, server, 40)
        for wire in slow:
            wire.send(sent)
        server.wait_until_read(40)
        assert ask(server) == b"hello"
        assert all(wire.is_silent() for wire in slow)


NOT_READ = ["/whole/20", "/random-file/20", "/random-file/20?chunked"]
"""Responses of 20 MB that need no thread while the client does not read."""

RANDOM = Random(0).randbytes(20 << 20)  # noqa: S311 - no secret
"""The body of these."""


def unread(cleanup: ExitStack, server: Process, path: str, count: int) -> list[Wire]:
    """Ask for responses and read nothing but their heads."""
    wires = opened(cleanup, server, count)
    for wire in wires:
        wire.send(request(path))
        assert wire.head().status == 200
    wait_for(lambda: sum(one.unsent > 0 for one in server.sockets()) == count, "full sockets")
    return wires


def body(wire: Wire, path: str) -> bytes:
    """Read the body of a response from `unread`."""
    if "chunked" not in path:
        return wire.exactly(20 << 20)
    return b"".join(iter(wire.chunk, b""))


@pytest.mark.parametrize("path", NOT_READ)
def test_clients_that_do_not_read_hold_up_nobody(start: Start, path: str) -> None:
    server = start(THREADS=2)
    with ExitStack() as cleanup:
        slow = unread(cleanup, server, path, 6)
        assert [ask(server) for _ in range(5)] == [b"hello"] * 5
        for wire in slow:
            # The next request waits for the end of the response, as it would with a thread.
            wire.send(request("/hello"))
            assert body(wire, path) == RANDOM
            assert wire.response().body == b"hello"
        assert server.notes.count("closed file") == (6 if "file" in path else 0)


@pytest.mark.parametrize("path", NOT_READ)
def test_clients_that_do_not_read_get_the_rest_from_a_server_that_stops(
    start: Start, path: str
) -> None:
    server = start(THREADS=2)
    with ExitStack() as cleanup:
        slow = unread(cleanup, server, path, 4)
        server.terminate()
        server.wait_until_it_refuses()
        for wire in slow:
            assert body(wire, path) == RANDOM
        assert server.wait_for_exit() == 0


def test_a_file_is_closed_when_a_client_leaves_that_did_not_read(start: Start) -> None:
    server = start(THREADS=2)
    with ExitStack() as cleanup:
        for wire in unread(cleanup, server, "/random-file/20", 6):
            wire.socket.close()
        server.notes.wait_for("closed file", 6)
    wait_for(lambda: not server.sockets(), "the server to close its sides", server.sockets)
    assert ask(server) == b"hello"
    assert "Traceback" not in server.text()


def test_many_idle_connections(start: Start) -> None:
    server = start(THREADS=8)
    with ExitStack() as cleanup:
        wires = opened(cleanup, server, 900)
        assert {wire.get("/hello").body for wire in wires[::10]} == {b"hello"}
        assert ask(server) == b"hello"
        assert wires[-1].get("/hello").body == b"hello"


def test_the_probe_is_answered_while_every_thread_is_taken(start: Start) -> None:
    server = start(THREADS=4)
    with ExitStack() as cleanup:
        slow = opened(cleanup, server, 8)
        for number, wire in enumerate(slow):
            wire.send(request(f"/gate/{number}"))
        wait_for(lambda: len(server.notes.events()) == 4, "requests", server.notes.events)
        assert ask(server, "/healthz") == b"ok"
        assert all(wire.is_silent() for wire in slow)


def test_a_slow_body_of_a_probe_holds_up_no_probe(start: Start) -> None:
    server = start()
    with Wire(server.address) as wire:
        wire.send(request("/healthz", b"Content-Length: 100000", method="POST", body=b"1"))
        server.notes.wait_for("probed")
        assert ask(server, "/healthz") == b"ok"
        assert wire.is_silent()


def test_probes_of_an_app_that_hangs_do_not_pile_up(start: Start) -> None:
    server = start()
    server.notes.open("hang")
    with ExitStack() as cleanup:
        first, *others = opened(cleanup, server, 1 + MOST_PROBES)
        first.send(request("/healthz"))
        server.notes.wait_for("probed")
        for wire in others:
            wire.send(request("/healthz"))
        server.wait_until_read(1 + MOST_PROBES)
        with Wire(server.address) as wire:
            assert wire.get("/healthz").status == 503
        assert ask(server) == b"hello"
        server.notes.open("gate")
        assert [wire.response().status for wire in (first, *others)] == [200] * (1 + MOST_PROBES)


def test_requests_are_answered_while_nobody_reads_the_output(start: Start) -> None:
    server = start(unread=True)
    with Wire(server.address) as wire:
        # Each makes a line of the request log and three on standard error; a pipe takes 64 KiB.
        for number in range(2000):
            assert wire.get(f"/errors/{number}").status == 200
    server.terminate()
    # What waited for a reader is not lost.
    output, _ = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 0
    assert output.count(b'"path": "/errors/') == 2000
    assert output.count(b"caf\xc3\xa9") == 2000
