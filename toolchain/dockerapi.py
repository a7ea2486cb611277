"""A small client of the Docker Engine API, for what is needed before Python's own is installed.

Reaches the engine the way DOCKER_HOST says: unix://, tcp:// (with DOCKER_TLS_VERIFY and
DOCKER_CERT_PATH), or ssh://.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from toolchain.steps import ToolchainError

LOCAL = "unix:///var/run/docker.sock"
ANSWER = 5.0
"""Seconds within which an engine that works has answered a small question."""


class EngineError(ToolchainError):
    """The engine cannot be reached, or refused a request."""


class EngineRefused(EngineError):
    """The engine answered with an error; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket that something else has connected."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("docker", blocksize=1 << 20)
        self.sock = connected


def address() -> str:
    """Return where the engine is: DOCKER_HOST, else the local socket."""
    return os.environ.get("DOCKER_HOST") or LOCAL


def ssh_command(host: str) -> list[str]:
    """Return the command whose input and output are the engine of an ssh:// address."""
    parts = urlsplit(host)
    port = ["-p", str(parts.port)] if parts.port else []
    user = f"{parts.username}@" if parts.username else ""
    target = f"{user}{parts.hostname}"
    return ["ssh", "-o", "BatchMode=yes", *port, "--", target, "docker", "system", "dial-stdio"]


def _tls() -> ssl.SSLContext | None:
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    certificates = Path(folder) if folder else Path.home() / ".docker"
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context


class Engine:
    """The engine at one address. Every request uses a connection of its own."""

    def __init__(self, host: str | None = None) -> None:
        """Remember the address; nothing is connected yet."""
        self.host = host or address()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            local = socket.socket(socket.AF_UNIX)
            local.settimeout(timeout)
            local.connect(parts.path)
            return _SocketConnection(local)
        if parts.scheme == "ssh":
            ours, theirs = socket.socketpair()
            # It ends when our end of the pair is closed.
            end = theirs.fileno()
            subprocess.Popen(ssh_command(self.host), stdin=end, stdout=end)
            theirs.close()
            ours.settimeout(timeout)
            return _SocketConnection(ours)
        if parts.scheme in {"tcp", "http", "https"} and parts.hostname:
            context = _tls()
            if context is None:
                port = parts.port or 2375
                return http.client.HTTPConnection(
                    parts.hostname, port, timeout=timeout, blocksize=1 << 20
                )
            return http.client.HTTPSConnection(
                parts.hostname,
                parts.port or 2376,
                timeout=timeout,
                context=context,
                blocksize=1 << 20,
            )
        raise EngineError(f"{self.host} is not an address of a Docker engine")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        body: IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Send one request and return the lines of the answer."""
        try:
            connection = self._connect(timeout)
            # An engine that says no before it has read everything says why in its answer.
            with suppress(BrokenPipeError):
                connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"no Docker engine answers at {self.host}: {error}") from error
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            said = answer.read().decode(errors="replace").strip()
            connection.close()
            raise EngineRefused(answer.status, _message(said))
        return self._lines(connection, answer)

    def _lines(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> Iterator[bytes]:
        try:
            while line := answer.readline():
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{self.host} stopped answering: {error}") from error
        finally:
            connection.close()

    def version(self) -> str:
        """Return the engine's version. Raises EngineError when none answers."""
        said: dict[str, Any] = json.loads(b"".join(self._ask("GET", "/version", timeout=ANSWER)))
        return str(said["Version"])

    def architecture(self) -> str:
        """Return what the engine's machine is, in Go's words (`amd64`, `arm64`)."""
        said: dict[str, Any] = json.loads(b"".join(self._ask("GET", "/version", timeout=ANSWER)))
        return str(said.get("Arch", ""))

    def image(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, or None when it has none of that name."""
        try:
            lines = list(
                self._ask("GET", f"/images/{quote(name, safe='/:')}/json", timeout=ANSWER * 6)
            )
        except EngineRefused as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        found: dict[str, Any] = json.loads(b"".join(lines))
        return found

    def pull(self, name: str, timeout: float) -> Iterator[str]:
        """Pull an image, yielding progress; `timeout` is the longest silence, in seconds.

        Raises EngineError when the registry cannot be reached or refuses.
        """
        image, _, tag = name.rpartition(":")
        query = urlencode({"fromImage": image, "tag": tag})
        yield from _stream(self._ask("POST", f"/images/create?{query}", timeout=timeout))

    def build(
        self, context: IO[bytes], size: int, name: str, labels: Mapping[str, str], timeout: float
    ) -> Iterator[str]:
        """Build an image from a tar of `size` bytes, yielding progress.

        Raises EngineError when the build fails; `timeout` is the longest silence, in seconds.
        """
        query = urlencode(
            {"t": name, "labels": json.dumps(dict(labels)), "rm": "1", "forcerm": "1"}
        )
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        yield from _stream(
            self._ask("POST", f"/build?{query}", timeout=timeout, body=context, headers=headers)
        )


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said or "no reason given"


def _stream(lines: Iterator[bytes]) -> Iterator[str]:
    """Read the engine's stream of JSON messages; an error in it is raised."""
    for line in lines:
        if not line.strip():
            continue
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise EngineError(str(message["error"]).strip())
        text = str(message.get("stream") or message.get("status") or "").strip()
        if text:
            yield text
