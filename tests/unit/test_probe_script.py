"""What the probe of the shared server prints, which a failed update shows."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.stack.deployment import PROJECT

Answer = Callable[[bytes], tuple[int, str]]


@pytest.fixture
def probed() -> Iterator[Answer]:
    """Probe a server that sends something and closes the connection; None keeps it open."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port, opened = server.getsockname()[1], list[socket.socket]()

        def run(data: bytes | None) -> tuple[int, str]:
            def serve() -> None:
                connection, _ = server.accept()
                opened.append(connection)
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(1000)
                if data is not None:
                    connection.sendall(data)
                    connection.close()

            threading.Thread(target=serve, daemon=True).start()
            code, printed = probe(port)
            return code, printed.replace(str(port), "PORT")

        yield run
        for connection in opened:
            connection.close()


def probe(port: int) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", PROJECT / "apps/_server/probe.sh"],
        env={"PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_nothing_is_printed_of_a_healthy_app(probed: Answer) -> None:
    assert probed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == (0, "")


def test_the_status_and_the_start_of_the_body_are_printed(probed: Answer) -> None:
    body = b"<html>\nno \x1b[31mdatabase\n" + b"x" * 100_000
    code, printed = probed(b"HTTP/1.1 500 Oops\r\nA: b\r\n\r\n" + body)
    assert code == 1
    assert printed.startswith("GET /healthz on port PORT: status 500 after ")
    assert " ms: <html> no " in printed
    assert len(printed.splitlines()) == 1
    assert len(printed) < 300


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "connection closed without an answer"),
        (b"HTTP/1.1 404 NOT FOUND\r\n", "status 404"),
        (b"SSH-2.0-OpenSSH hello\r\n", "status hello"),
        (None, "no answer"),
    ],
)
def test_other_answers_are_named(probed: Answer, data: bytes, got: str) -> None:
    code, printed = probed(data)
    assert code == 1
    assert printed.startswith(f"GET /healthz on port PORT: {got} after ")


def test_a_port_that_nothing_listens_on_is_a_connection_refused() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert probe(port)[1].startswith(f"GET /healthz on port {port}: connection refused after ")
