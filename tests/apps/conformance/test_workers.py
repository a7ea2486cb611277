"""Several processes that serve one port."""

import os
import signal

from tests.apps.conformance.conftest import Start
from tests.apps.conformance.servers import Process, wait_for
from tests.apps.conformance.wire import Wire, request


def seen(server: Process) -> int:
    """Ask which process answers."""
    with Wire(server.address) as wire:
        return int(wire.get("/pid").body)


def wait_for_both(server: Process) -> set[int]:
    """Wait until two processes have answered; returns their ids."""
    pids: set[int] = set()

    def both() -> bool:
        pids.add(seen(server))
        return len(pids & set(server.children())) == 2

    wait_for(both, "answers of two workers", lambda: (pids, server.text()))
    return pids & set(server.children())


def test_every_worker_answers_and_ends(start: Start) -> None:
    server = start(WORKERS=2)
    assert server.process.pid not in wait_for_both(server)
    with Wire(server.address) as wire:
        wire.send(request("/gate/a"))
        server.notes.wait_for("asked a")
        server.terminate()
        server.wait_until_it_refuses()
        server.notes.open("gate")
        assert wire.response().body == b"passed"
        assert server.wait_for_exit() == 0


def test_a_worker_that_was_killed_is_replaced(start: Start) -> None:
    server = start(WORKERS=2)
    killed, kept = wait_for_both(server)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in server.children(), "the end of a worker")
    assert kept in wait_for_both(server)
    assert f"Worker {killed} ended with -9; another is started." in server.text()


def test_workers_that_cannot_start_end_the_server(start: Start) -> None:
    server = start(WORKERS=2, FAILS=1)
    assert server.wait_for_exit() == 1
    assert "RuntimeError: on purpose" in server.text()
