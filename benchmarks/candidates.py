"""Servers for the same Flask app: how each is started, and talked to.

Uses 127.0.0.1 only.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes
from benchmarks.family import descendants, parents_of_all
from benchmarks.processes import PROC, name_and_seconds
from tests.stack.deployment import free_ports

APPS = Path(__file__).resolve().parent.parent / "apps"

APP = """
import time
from flask import Flask

app = Flask(__name__)

@app.get("/")
def greeting():
    return "Salam alikom, this is App1 :) "

@app.get("/sleep/<float:seconds>")
def sleep(seconds):
    time.sleep(seconds)
    return "slept"
"""

ANSWER_TIMEOUT = 15.0
EXIT_TIMEOUT = 45.0


@dataclass(frozen=True)
class Candidate:
    """A server: arguments after ``python`` with ``{port}`` as a placeholder, and environment."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def shared_form(threads: int) -> Candidate:
    """Return the server of apps/_server with this number of threads."""
    return Candidate(
        f"apps/_server, {threads} threads",
        ["-m", "_server"],
        {"PYTHONPATH": str(APPS), "APP": "bench", "PORT": "{port}", "THREADS": str(threads)},
    )


def granian(name: str, *options: str) -> Candidate:
    """Return granian's own command with these options."""
    command = ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "--no-ws"]
    return Candidate(f"granian {name}", [*command, *options, "app:app"])


def gunicorn(name: str, *options: str) -> Candidate:
    """Return gunicorn with these options."""
    return Candidate(
        f"gunicorn {name}", ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", *options, "app:app"]
    )


CANDIDATES = [
    gunicorn("gthread", "--worker-class", "gthread", "--threads", "8"),
    gunicorn("sync"),
    Candidate(
        "waitress", ["-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "8", "app:app"]
    ),
    Candidate("flask run", ["-m", "flask", "run", "--port", "{port}"]),
    granian("1 thread", "--blocking-threads", "1"),
    granian("8 threads", "--blocking-threads", "8"),
    granian("8 threads, st", "--blocking-threads", "8", "--runtime-mode", "st"),
    granian("2 workers", "--blocking-threads", "4", "--workers", "2"),
    *(shared_form(threads) for threads in (1, 2, 4, 8, 16, 32)),
]


@dataclass
class Server:
    """A running candidate."""

    process: subprocess.Popen[bytes]
    port: int

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_TIMEOUT)

    def _family(self) -> set[int]:
        """Return the process ids of the server and its descendants."""
        return {self.process.pid} | descendants(parents_of_all(), self.process.pid)

    def memory_mib(self) -> float:
        """Return the proportional set size."""
        return processes.memory_mib(self._family())

    def cpu_seconds(self) -> float:
        """Return the processor time used so far."""
        stats = ((PROC / str(pid) / "stat").read_text() for pid in self._family())
        return sum(name_and_seconds(stat)[1] for stat in stats)


@contextmanager
def running(candidate: Candidate, python: Path, folder: Path) -> Iterator[Server]:
    """Start a candidate, wait until it answers, and stop it at the end."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [str(python), *(argument.format(port=port) for argument in candidate.arguments)],
        cwd=folder,
        env={**os.environ, **{k: v.format(port=port) for k, v in candidate.environment.items()}},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(process, port)
    try:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while True:
            try:
                with closing(server.connect()) as sock:
                    ask(sock, "/")
                    break
            except OSError as error:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(f"{candidate.name} does not answer: {error}") from error
                time.sleep(0.02)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(EXIT_TIMEOUT)


def send(sock: socket.socket, path: str) -> None:
    """Send a request and leave the connection open."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def receive(sock: socket.socket) -> tuple[bool, bytes]:
    """Return whether the connection stays open, and the body; raises ConnectionError."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, body = data.split(b"\r\n\r\n", 1)
    lower = head.lower()
    length = int(re.findall(rb"content-length: *(\d+)", lower)[0])
    while len(body) < length:
        body += _more(sock)
    stays = b"connection: close" not in lower and not lower.startswith(b"http/1.0")
    return stays, body


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed in the middle of a request")
    return data


def ask(sock: socket.socket, path: str) -> tuple[bool, bytes]:
    """Send a request and return what ``receive`` does."""
    send(sock, path)
    return receive(sock)
