"""WSGI middleware around every app: a request id, one log line a request, an answer to probes."""

import json
import os
import re
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROBE_PATH = "/healthz"

# Visible ASCII only: the id goes back in a header and into other programs' logs.
_ACCEPTED_ID = re.compile(r"[!-~]{1,128}")

# Docker splits a log line at 16 KiB; a character takes at most 12 bytes as JSON.
_LONGEST_PATH = 1024
_LONGEST_METHOD = 32

_stdout_lock = threading.Lock()


def write_to_stdout(line: bytes) -> None:
    """Write one whole line to standard output; a log that is gone does not fail the request."""
    # Past sys.stdout and its buffer: a request's line is out before its answer is forgotten,
    # and the lock keeps lines whole that are longer than what a pipe takes in one go.
    try:
        with _stdout_lock:
            while line:
                line = line[os.write(1, line) :]
    except OSError:
        return


def request_id(given: str | None) -> str:
    """Return the id the proxy gave, or a new one of nginx's form when it gave none that is safe."""
    if given is not None and _ACCEPTED_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex


def log_line(
    *, app: str, at: float, id_: str, method: str, path: str, status: int, duration_ms: float
) -> bytes:
    """Return one JSON object and a newline, in ASCII.

    ``at`` is in seconds since the epoch. ``path`` is as WSGI gives it: bytes as Latin-1.
    """
    # ASCII: neither a control character nor one of Unicode's own line ends can break the line.
    record = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "app": app,
        "request_id": id_,
        "method": method[:_LONGEST_METHOD],
        "path": path.encode("latin-1", "replace").decode("utf-8", "replace")[:_LONGEST_PATH],
        "status": status,
        "duration_ms": round(duration_ms, 3),
    }
    return json.dumps(record).encode("ascii") + b"\n"


class _Stream:
    """The body of an answer that comes in pieces; reports once, however it ends."""

    def __init__(
        self,
        body: Iterable[bytes],
        chunks: Iterator[bytes],
        done: Callable[[], None],
    ) -> None:
        self._body = body
        self._chunks = chunks
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            # Also at a regular end: the server may exit before it calls close().
            self._report()
            raise

    def close(self) -> None:
        """Close the app's body."""
        try:
            _close(self._body)
        finally:
            self._report()

    def _report(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            done()


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


class Middleware:
    """Wrap a WSGI app.

    Every request has an ``X-Request-ID``, for the app as for the client, and is logged as one
    JSON line when its answer is complete. A probe (``/healthz``) is not logged, and is answered
    with 200 when the app has no such route. While ``closing`` says so, every answer asks the
    client to close its connection.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        name: str,
        write: Callable[[bytes], None] = write_to_stdout,
        closing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._name = name
        self._write = write
        self._closing = closing

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        id_ = request_id(environ.get("HTTP_X_REQUEST_ID"))
        environ["HTTP_X_REQUEST_ID"] = id_
        if environ.get("PATH_INFO") == PROBE_PATH:
            return self._probe(environ, start_response, id_)
        return self._request(environ, start_response, id_)

    def _probe(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", id_: str
    ) -> Iterable[bytes]:
        answer: tuple[str, list[tuple[str, str]]] = ("500 Internal Server Error", [])

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            nonlocal answer
            answer = (status, headers)

        # The whole answer first: an app may choose its status as late as its first chunk.
        body = self._app(environ, start)
        try:
            content = b"".join(body)
        finally:
            _close(body)
        status, headers = answer
        if status.startswith("404"):
            status, content = "200 OK", b"ok"
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
        start_response(status, self._headers(headers, id_))
        return [content]

    def _request(
        self, environ: "WSGIEnvironment", start_response: "StartResponse", id_: str
    ) -> Iterable[bytes]:
        at = time.time()
        started = time.perf_counter()
        method = str(environ.get("REQUEST_METHOD", ""))
        path = str(environ.get("PATH_INFO", ""))
        code = 500
        length: int | None = None

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal code, length
            code = int(status[:3])
            length = next((int(v) for k, v in headers if k.lower() == "content-length"), None)
            if exc_info is None:
                return start_response(status, self._headers(headers, id_))
            return start_response(status, self._headers(headers, id_), exc_info)

        def done() -> None:
            self._write(
                log_line(
                    app=self._name,
                    at=at,
                    id_=id_,
                    method=method,
                    path=path,
                    status=code,
                    duration_ms=(time.perf_counter() - started) * 1000,
                )
            )

        try:
            body = self._app(environ, start)
            chunks = iter(body)
            # Nearly every answer is one chunk. Handed over whole it is logged before the client
            # has it, so no line is lost when this was the last request before the exit, and the
            # server sends it in one go.
            first = [] if length is None else list(islice(chunks, 1))
            if length is None or (first and len(first[0]) != length):
                return _Stream(body, chain(first, chunks), done)
            _close(body)
        except Exception:
            # Flask answers for its own errors; this is for what gets past it.
            traceback.print_exc(file=environ.get("wsgi.errors"))
            start("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
            first = [b"Internal Server Error\n"]
        done()
        return first

    def _headers(self, headers: list[tuple[str, str]], id_: str) -> list[tuple[str, str]]:
        kept = [header for header in headers if header[0].lower() != "x-request-id"]
        kept.append(("X-Request-ID", id_))
        if self._closing():
            kept.append(("Connection", "close"))
        return kept
