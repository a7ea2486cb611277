"""SIGTERM: what is in flight is finished, and nothing else delays the exit.

Nothing here is measured but by the time of grace, an hour in most tests: an exit that waits for
its end does not come in time for any of them.
"""

import errno
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from tests.apps.conftest import Run
from tests.apps.containers import PATIENCE, App, answer_on, wait_for

STATES = ESTABLISHED, LISTENING = "01", "0A"
"""States of a socket in /proc/net/tcp in which it may have what nobody has read or taken yet."""

# The server gives notice for half a second, in which a client of a machine that stalls may not get
# to send its next request; it has more time here.
WITH_LONG_NOTICE = "from _server import serve, server; server.NOTICE_SECONDS = 15.0; serve.main()"


def test_an_idle_app_exits_at_once(app: App) -> None:
    assert app.stop() == 0


def test_idle_connections_do_not_delay_the_exit(app: App) -> None:
    with ExitStack() as cleanup:
        connections = [cleanup.enter_context(connected(app)) for _ in range(20)]
        # The last ones: whoever is answered there has taken those from before as well.
        for connection in connections[10:]:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer_on(connection)[0] == 200
        assert app.stop() == 0
        # Closed in order, not reset.
        assert [connection.recv(1) for connection in connections] == [b""] * 20


@pytest.mark.parametrize("seconds", [0.0, pytest.param(20.0, marks=pytest.mark.faults)])
def test_a_request_in_flight_is_finished_and_the_exit_follows(slow: App, seconds: float) -> None:
    with connected(slow), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(slow.get, f"/wait/{seconds}")
        slow.wait_until_asked()
        slow.terminate()
        wait_until_it_refuses(slow)
        assert not answer.done()
        slow.let_go()
        assert answer.result().text == "waited"
        assert slow.wait_for_exit() == 0
    assert [record["path"] for record in slow.wait_until_recorded()] == [f"/wait/{seconds}"]


def test_a_stream_is_sent_to_its_end(slow: App) -> None:
    with slow.get("/stream/15", stream=True) as answer:
        pieces = answer.iter_lines(chunk_size=None)
        assert next(pieces) == b"0"
        slow.terminate()
        wait_until_it_refuses(slow)
        slow.let_go()
        assert [int(piece) for piece in pieces] == list(range(1, 15))
    assert slow.wait_for_exit() == 0
    assert [record["path"] for record in slow.wait_until_recorded()] == ["/stream/15"]


def test_a_body_that_is_still_being_sent_is_read_to_its_end(slow: App) -> None:
    with connected(slow) as connection:
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        slow.wait_until_asked()
        slow.terminate()
        wait_until_it_refuses(slow)
        connection.sendall(b"67890")
        assert answer_on(connection) == (200, b"10")
        assert slow.wait_for_exit() == 0
    assert [record["status"] for record in slow.wait_until_recorded()] == [200]


def test_requests_that_wait_for_a_thread_are_answered(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"THREADS": "1"})
    with ExitStack() as cleanup:
        clients = [cleanup.enter_context(connected(app)) for _ in range(4)]
        for client in clients:
            client.sendall(b"GET /wait/0.0 HTTP/1.1\r\nHost: x\r\n\r\n")
        app.wait_until_asked()
        wait_for(lambda: _has_read(app, len(clients)), "requests read")
        app.terminate()
        wait_until_it_refuses(app)
        app.let_go()
        assert [answer_on(client) for client in clients] == [(200, b"waited")] * 4
        assert app.wait_for_exit() == 0
    assert len(app.wait_until_recorded(4)) == 4


@pytest.mark.faults
def test_busy_keep_alive_clients_lose_no_request(start: Run, image: str) -> None:
    app = start(image, command=["python", "-c", WITH_LONG_NOTICE])
    url = app.url("/")
    answered = [0] * 8
    lost: list[str] = []

    def ask_until_told_to_leave(number: int) -> None:
        with requests.Session() as session:
            while True:
                try:
                    answer = session.get(url, timeout=PATIENCE)
                except requests.RequestException as error:
                    lost.append(repr(error))
                    return
                answered[number] += 1
                if answer.headers.get("Connection") == "close":
                    return

    clients = [
        threading.Thread(target=ask_until_told_to_leave, args=(number,), daemon=True)
        for number in range(len(answered))
    ]
    for client in clients:
        client.start()
    wait_for(lambda: min(answered) > 1, "answers to all clients", lambda: f"{answered} {lost}")
    assert app.stop() == 0
    for client in clients:
        client.join(PATIENCE)
    assert not any(client.is_alive() for client in clients)
    assert lost == []
    assert len(app.wait_until_recorded(sum(answered))) == sum(answered)


def test_the_time_of_grace_is_an_end(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"GRACE_SECONDS": "2"})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(app.get, "/wait/0.0")
        app.wait_until_asked()
        started = time.monotonic()
        app.stop()
        assert time.monotonic() - started >= 2
        assert isinstance(answer.exception(), requests.ConnectionError)


@pytest.mark.parametrize(
    "milliseconds",
    [
        0,
        100,
        pytest.param(200, marks=pytest.mark.faults),
        300,
        pytest.param(500, marks=pytest.mark.faults),
    ],
)
def test_a_signal_while_starting_is_not_lost(start: Run, image: str, milliseconds: int) -> None:
    app = start(image, healthy=False)
    # From the moment it listens for signals; before that the kernel has nobody to tell.
    wait_for(lambda: _catches(app, signal.SIGTERM), "handler of signals", app.text_log)
    time.sleep(milliseconds / 1000)
    assert app.stop() == 0


def connected(app: App) -> socket.socket:
    """Connect to an app."""
    return socket.create_connection((app.address, app.port), timeout=PATIENCE)


def wait_until_it_refuses(app: App) -> None:
    """Wait until an app takes no new connections."""
    wait_for(lambda: _refuses(app), "end of listening", app.text_log)


def _refuses(app: App) -> bool:
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        return connection.connect_ex((app.address, app.port)) == errno.ECONNREFUSED


def _has_read(app: App, count: int) -> bool:
    """Tell whether an app has so many connections, and has read all that came on them (proc(5))."""
    rows = [line.split() for line in app.run("cat", "/proc/net/tcp")[1].splitlines()[1:]]
    own = [row for row in rows if int(row[1].partition(":")[2], 16) == app.port]
    states = [row[3] for row in own]
    unread = [int(row[4].partition(":")[2], 16) for row in own if row[3] in STATES]
    return states.count(ESTABLISHED) == count and not any(unread)


def _catches(app: App, number: signal.Signals) -> bool:
    """Tell whether the first process in a container has a handler of a signal (proc(5))."""
    _, status = app.run("cat", "/proc/1/status")
    (mask,) = re.findall(r"^SigCgt:\t([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)
