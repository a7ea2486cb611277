"""SIGTERM: what is in flight is finished, and nothing else delays the exit."""

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
from tests.apps.containers import App, wait_for

# The server gives notice for 0.5 s; the rest is Docker's own, on a machine with other work. What
# would be wrong takes 20 s or more.
AT_ONCE = 5.0


def test_an_idle_app_exits_at_once(app: App) -> None:
    assert app.stop() < AT_ONCE
    assert app.exit_code == 0


def test_idle_connections_do_not_delay_the_exit(app: App) -> None:
    connections = [socket.create_connection((app.address, app.port), timeout=5) for _ in range(20)]
    try:
        for connection in connections[:10]:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536)
        assert app.stop() < AT_ONCE
        assert app.exit_code == 0
        # Closed in order, not reset.
        assert [connection.recv(1) for connection in connections] == [b""] * 20
    finally:
        for connection in connections:
            connection.close()


def test_a_20_second_request_is_finished_and_the_exit_follows(slow: App) -> None:
    idle = socket.create_connection((slow.address, slow.port), timeout=5)
    with idle, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(slow.get, "/wait/20.0", timeout=40)
        wait_until_asked(slow)
        slow.container.kill("SIGTERM")
        wait_for(lambda: _refuses(slow), "end of listening", AT_ONCE)
        assert not answer.done()
        assert answer.result().text == "waited"
        finished = time.monotonic()
        slow.container.wait(timeout=30)
        assert time.monotonic() - finished < AT_ONCE
    assert slow.exit_code == 0
    assert [record["path"] for record in slow.records()] == ["/wait/20.0"]


def test_a_stream_is_sent_to_its_end(slow: App) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(slow.get, "/stream/15")
        wait_until_asked(slow)
        slow.stop()
        assert answer.result().text.split() == [str(number) for number in range(15)]
    assert slow.exit_code == 0
    assert [record["path"] for record in slow.records()] == ["/stream/15"]


def test_a_body_that_is_still_being_sent_is_read_to_its_end(slow: App) -> None:
    with (
        socket.create_connection((slow.address, slow.port), timeout=10) as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        wait_until_asked(slow)
        stopped = pool.submit(slow.stop)
        time.sleep(1.5)
        connection.sendall(b"67890")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert stopped.result() < 1.5 + AT_ONCE
    assert slow.exit_code == 0
    assert [record["status"] for record in slow.records()] == [200]


def test_requests_that_wait_for_a_thread_are_answered(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"THREADS": "1"})
    with ExitStack() as cleanup:
        clients = [
            cleanup.enter_context(socket.create_connection((app.address, app.port), timeout=20))
            for _ in range(4)
        ]
        for client in clients:
            client.sendall(b"GET /wait/0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_asked(app)
        app.container.kill("SIGTERM")
        answers = [cleanup.enter_context(client.makefile("rb")).read() for client in clients]
        app.container.wait(timeout=30)
    assert [answer.endswith(b"\r\n\r\nwaited") for answer in answers] == [True] * 4
    assert app.exit_code == 0
    assert len(app.records()) == 4


def test_busy_keep_alive_clients_lose_no_request(app: App) -> None:
    url = app.url("/")
    lock = threading.Lock()
    answered = 0
    lost: list[str] = []

    def ask_until_told_to_leave() -> None:
        nonlocal answered
        with requests.Session() as session:
            while True:
                try:
                    answer = session.get(url, timeout=5)
                except requests.RequestException as error:
                    with lock:
                        lost.append(repr(error))
                    return
                with lock:
                    answered += 1
                if answer.headers.get("Connection") == "close":
                    return

    clients = [threading.Thread(target=ask_until_told_to_leave) for _ in range(8)]
    for client in clients:
        client.start()
    wait_for(lambda: answered > len(clients), "answers to all clients", 10)
    app.stop()
    for client in clients:
        client.join(10)
    assert lost == []
    assert answered > len(clients)
    assert app.exit_code == 0
    assert len(app.records()) == answered


def test_the_time_of_grace_is_an_end(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"GRACE_SECONDS": "2"})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(app.get, "/wait/20.0", timeout=30)
        wait_until_asked(app)
        assert 2 <= app.stop() < 2 + AT_ONCE
        assert isinstance(answer.exception(), requests.ConnectionError)


@pytest.mark.parametrize("milliseconds", [0, 100, 200, 300, 500])
def test_a_signal_while_starting_is_not_lost(start: Run, image: str, milliseconds: int) -> None:
    app = start(image, healthy=False, environment={"GRACE_SECONDS": "30"})
    # From the moment it listens for signals; before that the kernel has nobody to tell.
    wait_for(lambda: _catches(app, signal.SIGTERM), "handler of signals", 10, app.text_log)
    time.sleep(milliseconds / 1000)
    assert app.stop() < AT_ONCE + 1
    assert app.exit_code == 0


def wait_until_asked(app: App) -> None:
    """Wait until a request has reached the app that can be made to wait."""
    wait_for(lambda: app.run("test", "-e", "/tmp/asked")[0] == 0, "request", 10)  # noqa: S108


def _refuses(app: App) -> bool:
    with socket.socket() as connection:
        connection.settimeout(2)
        return connection.connect_ex((app.address, app.port)) != 0


def _catches(app: App, number: signal.Signals) -> bool:
    """Tell whether the first process in a container has a handler of a signal (proc(5))."""
    _, status = app.run("cat", "/proc/1/status")
    (mask,) = re.findall(r"^SigCgt:\t([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)
