"""WSGI middleware of every app: request IDs, one log line per request, answers to health probes."""

import json
import re
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROBE_PATH = "/healthz"

# Visible ASCII only: the ID is sent in a header and written to logs.
_ACCEPTED_ID = re.compile(r"[!-~]{1,128}")

# Docker splits a log line at 16 KiB; a character takes at most 12 bytes as JSON.
_LONGEST_PATH = 1024
_LONGEST_METHOD = 32

LOWEST_STATUS = {"all": 0, "errors": 500, "none": 1000}
"""The lowest status that is logged, by the value of REQUEST_LOG."""


def request_id(given: str | None) -> str:
    """Return the ID that the proxy sent, or a new one if that is missing or not safe to log."""
    if given is not None and _ACCEPTED_ID.fullmatch(given):
        return given
    return secrets.token_hex(16)


def log_line(
    *, app: str, at: float, id_: str, method: str, path: str, status: int, duration_ms: float
) -> bytes:
    """Return one JSON object and a newline, in ASCII.

    ``at`` is in seconds since the epoch. ``path`` is in WSGI's form: bytes decoded as Latin-1.
    """
    # JSON in ASCII escapes control characters and Unicode's line separators.
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
    """The body of a response in several chunks; calls ``done`` once, however the response ends.

    The argument of ``done`` tells whether the app failed before its first chunk. Another thread may
    go on with the iteration if it may with that of the body (``FileWrapper``).
    """

    def __init__(
        self,
        body: Iterable[bytes],
        chunks: Iterator[bytes],
        done: Callable[[bool], None],
    ) -> None:
        self._body = body
        self._chunks = chunks
        self._begun = False
        # Werkzeug wraps a file of which a client asks for a range.
        whole = getattr(body, "iterable", body)
        self.from_any_thread = getattr(whole, "from_any_thread", False)
        self._done: Callable[[bool], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            # Not only in close(): the client may have the whole response before that is called.
            self._report(failed=False)
            raise
        except BaseException:
            # The server answers 500 if nothing was sent.
            self._report(failed=not self._begun)
            raise
        self._begun |= chunk != b""
        return chunk

    def close(self) -> None:
        """Close the app's body."""
        try:
            _close(self._body)
        finally:
            self._report(failed=False)

    def _report(self, *, failed: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(failed)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


class Middleware:
    """Wrap a WSGI app.

    Every request and its response have an ``X-Request-ID``. A request is logged as one JSON line
    when its response is complete: each request, or those with a status of 500 or more, or none. A
    probe (``/healthz``) is not logged, and is answered with 200 if the app has no such route.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        name: str,
        write: Callable[[bytes], None],
        log: str = "all",
    ) -> None:
        self._app = app
        self._name = name
        self._write = write
        self._lowest_status = LOWEST_STATUS[log]

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

        # Read the whole response first: an app may set its status as late as with the first chunk.
        body = self._app(environ, start)
        try:
            content = b"".join(body)
        finally:
            _close(body)
        status, headers = answer
        if status.startswith("404"):
            status, content = "200 OK", b"ok"
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
        start_response(status, _with_id(headers, id_))
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
                return start_response(status, _with_id(headers, id_))
            return start_response(status, _with_id(headers, id_), exc_info)

        def done(failed: bool = False) -> None:
            status = 500 if failed else code
            if status < self._lowest_status:
                return
            self._write(
                log_line(
                    app=self._name,
                    at=at,
                    id_=id_,
                    method=method,
                    path=path,
                    status=status,
                    duration_ms=(time.perf_counter() - started) * 1000,
                )
            )

        try:
            body = self._app(environ, start)
            if isinstance(body, list):
                done()
                return body
            chunks = iter(body)
            # Nearly every response is one chunk. It is logged before it is returned, so that no
            # line is lost at the exit, and the server sends the response with one write.
            first = [] if length is None else list(islice(chunks, 1))
            if length is None or (first and len(first[0]) != length):
                return _Stream(body, chain(first, chunks), done)
            _close(body)
        except Exception:
            # Flask handles the errors of its views; this handles those that it raises itself.
            traceback.print_exc(file=environ.get("wsgi.errors"))
            start("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
            first = [b"Internal Server Error\n"]
        done()
        return first


def _with_id(headers: list[tuple[str, str]], id_: str) -> list[tuple[str, str]]:
    kept = [header for header in headers if header[0].lower() != "x-request-id"]
    kept.append(("X-Request-ID", id_))
    return kept
