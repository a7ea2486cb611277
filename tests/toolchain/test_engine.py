"""The engine step against sockets that answer, refuse, or that no program listens on."""

import http.server
import json
import resource
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadbalancer.engine import address
from tests.contexts import write_context
from toolchain import baseimages, engine
from toolchain.engine import OPEN_FILES, EngineError
from toolchain.recipes import PYTHON
from toolchain.steps import Outcome, ToolchainError, silent

PATIENCE = 60.0
"""Seconds without an answer; the fake engine is a thread of a machine that may be busy."""

ANSWERS: dict[str, dict[str, str]] = {
    "/version": {"Version": "99.1", "ApiVersion": "1.41", "Arch": "arm64"},
}


class FakeEngine(http.server.BaseHTTPRequestHandler):
    """Answers as an engine of another architecture, without images and without a registry."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer = ANSWERS.get(self._path())
        self._answer(404 if answer is None else 200, [answer or {"message": "no such image"}])

    def do_POST(self) -> None:
        pull = self._path() == "/images/create"
        messages = [{"status": "Pulling"}, {"error": "registry out of reach"}]
        self._answer(200 if pull else 500, messages)

    def _path(self) -> str:
        """Return the path without API version and query."""
        return self.path.partition("?")[0].removeprefix("/v1.41")

    def _answer(self, status: int, messages: list[dict[str, str]]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for message in messages:
            text = f"{json.dumps(message)}\r\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; a Unix socket has no client address to log."""


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
    monkeypatch.setattr(engine, "ANSWER", PATIENCE)
    path = folder / "docker.sock"
    with UnixServer(str(path), FakeEngine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def dead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A socket file that no program listens on any more."""
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return f"unix://{path}"


def test_an_engine_that_answers_is_used(fake: str) -> None:
    assert engine.ensure(silent) == Outcome("found", f"99.1 at {fake}")


def test_a_dead_docker_host_is_named_and_nothing_is_installed(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.debian.install", pytest.fail)
    with pytest.raises(ToolchainError, match=f"{dead}.*DOCKER_HOST"):
        engine.ensure(silent)


def test_a_dead_engine_of_a_context_is_named_and_nothing_is_installed(
    dead: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolchain.debian.install", pytest.fail)
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("DOCKER_CONTEXT", "loft")
    with pytest.raises(ToolchainError, match="context 'loft' not found"):
        engine.ensure(silent)
    write_context(folder, "loft", dead)
    with pytest.raises(ToolchainError, match=f"{dead}.*context loft.*DOCKER_CONTEXT=default"):
        engine.ensure(silent)


def test_an_engine_is_installed_with_the_ps_that_its_top_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(address, "LOCAL", f"unix://{folder / 'none.sock'}")
    monkeypatch.setattr(engine, "dockerd", lambda: None)
    monkeypatch.setattr(engine, "start", lambda _: "99.1")
    monkeypatch.setattr("toolchain.debian.why_not_installable", lambda: None)
    monkeypatch.setattr("toolchain.debian.install", lambda packages, _: installed.extend(packages))
    host = f"unix://{folder / 'none.sock'}"
    assert engine.ensure(silent) == Outcome("installed", f"99.1 at {host}, started")
    assert {"docker.io", "procps"} <= set(installed)


def test_an_unknown_kind_of_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "carrier-pigeon://loft")
    with pytest.raises(ToolchainError, match="carrier-pigeon://loft"):
        engine.ensure(silent)


def test_waiting_for_a_dead_engine_ends_with_the_last_error(dead: str) -> None:
    with pytest.raises(ToolchainError, match=r"did not answer within 0 s.*Connection refused"):
        engine.wait(None, silent, timeout=0.3)


def test_an_engine_that_ends_at_once_is_not_waited_for(
    dead: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOG", folder / "log")
    process = engine.spawn(str(write_dockerd(folder, "echo no disk; exit 1")))
    process.wait(PATIENCE)
    with pytest.raises(ToolchainError, match=f"ended at once; see {folder / 'log'}"):
        engine.wait(process, silent)
    assert (folder / "log").read_text() == "no disk\n"


def write_dockerd(folder: Path, script: str) -> Path:
    program = folder / "dockerd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_an_engine_is_started_with_more_open_files_than_the_shell_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOG", folder / "log")
    program = write_dockerd(folder, "ulimit -Sn; ulimit -Hn")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = (256, before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, low)
    try:
        assert engine.spawn(str(program)).wait(PATIENCE) == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == low
        soft, hard = (folder / "log").read_text().split()
        allowed = may_raise_the_hard_limit()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    least = OPEN_FILES if allowed else min(before[1], OPEN_FILES)
    assert hard == "unlimited" or int(hard) >= max(least, before[1])
    assert int(soft) == least


def may_raise_the_hard_limit() -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, OPEN_FILES))
    except (ValueError, OSError):
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return True


def test_an_image_is_found_or_not(fake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.connection(PATIENCE) as client:
        assert baseimages.look(client, PYTHON) is None
    monkeypatch.setitem(ANSWERS, f"/images/{PYTHON.official}/json", {"Id": "x"})
    with engine.connection(PATIENCE) as client:
        found = baseimages.look(client, PYTHON)
    assert found is not None
    assert found.official


def test_without_a_registry_an_image_is_not_made_for_another_architecture(
    fake: str, tmp_path: Path
) -> None:
    """The error of a pull comes in the stream of messages; its HTTP status is 200."""
    reported: list[str] = []
    with pytest.raises(ToolchainError, match="does not run on the engine's arm64"):
        baseimages.ensure(PYTHON, tmp_path / "work", reported.append)
    assert reported[0] == "Pulling"
    assert reported[1].endswith("registry out of reach")


def test_a_failure_while_the_connection_is_used_names_the_engine(fake: str) -> None:
    with (
        pytest.raises(EngineError, match=f"{fake}: 404.*no such image"),
        engine.connection(PATIENCE) as client,
    ):
        client.images.get("missing:1")
