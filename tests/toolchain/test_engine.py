"""The engine step against sockets that answer, refuse, or are dead."""

import http.server
import json
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain import engine
from toolchain.dockerapi import Engine, EngineError
from toolchain.steps import Outcome, ToolchainError, silent

PATIENCE = 60.0
"""Seconds of silence that mean nothing."""


class FakeEngine(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"/version": {"Version": "99.1", "Arch": "arm64"}, "/images/a:1/json": {"Id": "x"}}
        self._answer(200 if self.path in known else 404, [known.get(self.path, {"message": "no"})])

    def do_POST(self) -> None:
        self._answer(200, [{"status": "Pulling"}, {"error": "registry out of reach"}])

    def _answer(self, status: int, messages: list[dict[str, str]]) -> None:
        body = "".join(f"{json.dumps(message)}\r\n" for message in messages).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; a Unix socket has no client address to name."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="lb"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def fake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # It is a thread of a machine with other work, and is silent for as long as that stalls.
    monkeypatch.setattr("toolchain.dockerapi.ANSWER", PATIENCE)
    path = folder / "docker.sock"
    with UnixServer(str(path), FakeEngine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def dead(folder: Path) -> str:
    """A socket file that nobody listens on any more."""
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    return f"unix://{path}"


def test_an_engine_that_answers_is_used(fake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", fake)
    assert engine.ensure(silent) == Outcome("found", f"99.1 at {fake}")


def test_a_dead_docker_host_is_named_and_nothing_is_installed(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dead)
    monkeypatch.setattr("toolchain.debian.install", pytest.fail)
    with pytest.raises(ToolchainError, match=f"{dead}.*DOCKER_HOST"):
        engine.ensure(silent)


def test_an_engine_is_installed_with_the_ps_that_its_top_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    host = f"unix://{folder / 'none.sock'}"
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("toolchain.dockerapi.LOCAL", host)
    monkeypatch.setattr("toolchain.engine.LOCAL", host)
    monkeypatch.setattr("toolchain.engine.dockerd", lambda: None)
    monkeypatch.setattr("toolchain.engine.start", lambda *_: "99.1")
    monkeypatch.setattr("toolchain.debian.why_not_installable", lambda: None)
    monkeypatch.setattr("toolchain.debian.install", lambda packages, _: installed.extend(packages))
    assert engine.ensure(silent) == Outcome("installed", f"99.1 at {host}, started")
    assert {"docker.io", "procps"} <= set(installed)


def test_an_address_of_nothing_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "carrier-pigeon://loft")
    with pytest.raises(ToolchainError, match="carrier-pigeon://loft"):
        engine.ensure(silent)


def test_waiting_for_a_dead_engine_ends_with_the_last_answer(dead: str) -> None:
    with pytest.raises(ToolchainError, match=r"did not answer within 0 s.*Connection refused"):
        engine.wait(Engine(dead), None, silent, timeout=0.3)


def test_an_image_is_known_or_not(fake: str) -> None:
    assert Engine(fake).image("a:1") == {"Id": "x"}
    assert Engine(fake).image("b:1") is None


def test_an_error_in_the_stream_of_a_pull_is_raised(fake: str) -> None:
    seen = []
    with pytest.raises(EngineError, match="registry out of reach"):
        for line in Engine(fake).pull("python:3.14-slim", PATIENCE):
            seen.append(line)
    assert seen == ["Pulling"]
