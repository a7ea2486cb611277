"""What a client gets from an app's container, and what its log says."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from tests.apps.conftest import Build, Run
from tests.apps.containers import PATIENCE, PROBE, App, answer_on, wait_for

GREETINGS = {
    "app1": b"Salam alikom, this is App1 :) ",
    "app2": b"Salam alikom, this is App2 :) ",
}


@pytest.mark.parametrize("name", GREETINGS)
def test_the_greeting_is_exact(build: Build, start: Run, name: str) -> None:
    answer = start(build(name), environment={"APP": name}).get("/")
    assert answer.status_code == 200
    assert answer.content == GREETINGS[name]
    assert answer.headers["Content-Length"] == str(len(GREETINGS[name]))
    assert answer.headers["Content-Type"].startswith("text/html")


def test_healthz_answers_200_and_is_not_logged(app: App) -> None:
    assert app.get("/healthz").status_code == 200
    assert app.probe() == 0
    app.get("/")
    assert [record["path"] for record in app.wait_until_recorded()] == ["/"]


def test_an_app_without_a_healthz_of_its_own_is_healthy(slow: App) -> None:
    assert slow.get("/healthz").status_code == 200
    assert slow.get("/health").status_code == 404


def test_an_id_goes_through(app: App) -> None:
    started = time.perf_counter()
    answer = app.get("/?secret=1", headers={"X-Request-ID": "0123456789abcdef"})
    assert answer.headers["X-Request-ID"] == "0123456789abcdef"
    took = 1000 * (time.perf_counter() - started)
    (record,) = app.wait_until_recorded()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("time"))
    assert 0 <= record.pop("duration_ms") <= took
    assert record == {
        "app": "app1",
        "request_id": "0123456789abcdef",
        "method": "GET",
        "path": "/",
        "status": 200,
    }


def test_an_id_is_made_when_there_is_none(app: App) -> None:
    ids = [app.get("/").headers["X-Request-ID"] for _ in range(2)]
    assert [record["request_id"] for record in app.wait_until_recorded(2)] == ids
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "raw",
    [b'a"b', b"\x80\xff", b"a\tb", b"{}" * 300, b""],
    ids=["quote", "bytes", "tab", "long", ""],
)
def test_hostile_headers_on_the_wire_make_one_line_each(app: App, raw: bytes) -> None:
    request = b"GET /%0a%22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: " + raw
    with socket.create_connection((app.address, app.port), timeout=PATIENCE) as connection:
        connection.sendall(request + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    (record,) = app.wait_until_recorded()
    assert record["path"] == '/\n"'
    assert re.fullmatch("[!-~]{1,128}", record["request_id"])
    assert f"x-request-id: {record['request_id']}".encode() in answer.lower()


def test_an_error_in_the_app_is_a_500_in_the_log_and_a_traceback_beside_it(slow: App) -> None:
    answer = slow.get("/fails", headers={"X-Request-ID": "f1"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "f1"
    assert [(r["status"], r["request_id"]) for r in slow.wait_until_recorded()] == [(500, "f1")]
    wait_for(lambda: "RuntimeError: on purpose" in slow.text_log(), "traceback", slow.text_log)


def test_slow_requests_and_streams_do_not_delay_others(slow: App) -> None:
    # Case A1, with the default number of threads.
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(slow.get, "/wait/0.0") for _ in range(12)]
        streams = [pool.submit(slow.get, "/stream/3") for _ in range(4)]
        slow.wait_until_asked(16)
        assert slow.get("/").text == "third"
        assert slow.probe() == 0
        assert not any(future.done() for future in [*waiting, *streams])
        slow.let_go()
        assert [future.result().text for future in waiting] == ["waited"] * 12
        assert [future.result().text for future in streams] == ["0\n1\n2\n"] * 4


def test_the_probe_succeeds_while_every_thread_is_taken(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"THREADS": "2"})
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(app.get, "/wait/0.0") for _ in range(6)]
        app.wait_until_asked(2)
        assert app.probe() == 0
        assert not any(future.done() for future in waiting)
        app.let_go()
        assert [future.result().text for future in waiting] == ["waited"] * 6


def test_two_workers_answer_in_one_container(start: Run, slow_image: str) -> None:
    app = start(slow_image, environment={"THREADS": "1", "WORKERS": "2"})
    assert app.get("/").text == "third"
    assert len(app.run("cat", "/proc/1/task/1/children")[1].split()) == 2
    assert app.stop() == 0


@pytest.mark.faults
def test_an_idle_connection_is_kept_for_longer_than_nginx_keeps_it(app: App) -> None:
    # nginx closes an idle connection after 60 s, and has to be the one that closes it.
    with socket.create_connection((app.address, app.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(connection) == (200, GREETINGS["app1"])
        connection.settimeout(63)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(PATIENCE)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer_on(connection) == (200, GREETINGS["app1"])


@pytest.mark.parametrize("status", [200, 404, 500, 503])
def test_the_probe_accepts_nothing_but_200(start: Run, slow_image: str, status: int) -> None:
    app = start(slow_image, healthy=False, command=["sleep", "infinity"])
    server = (
        "import http.server\n"
        "class Answer(http.server.BaseHTTPRequestHandler):\n"
        f"    def do_GET(self): self.send_response({status}); self.end_headers()\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', 5001), Answer).serve_forever()"
    )
    assert app.probe() != 0, "nothing listens"
    app.container.exec_run(["python", "-c", server], detach=True)
    app.wait_until_listening()
    if status == HTTPStatus.OK:
        # Awaited: a machine that stalls may make one answer come after the five seconds.
        wait_for(lambda: app.probe() == 0, "a healthy probe")
    else:
        assert app.probe() != 0
    assert app.listens(), "the server is still there"


@pytest.mark.faults
def test_the_probe_gives_up_on_a_silent_server(start: Run, slow_image: str) -> None:
    app = start(slow_image, healthy=False, command=["sleep", "infinity"])
    server = "import socket, time; s = socket.create_server(('127.0.0.1', 5001)); time.sleep(3600)"
    app.container.exec_run(["python", "-c", server], detach=True)
    app.wait_until_listening()
    # It does so after five seconds; a time-out of its own would show as 124.
    assert app.run("timeout", str(PATIENCE), *PROBE)[0] == 1
