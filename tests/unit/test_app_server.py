"""The part of the apps' shared form that is plain functions: settings, request log, probes."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps._server.exchange import FileWrapper
from apps._server.middleware import Middleware, request_id
from apps._server.settings import Settings

Headers = list[tuple[str, str]]

# What a server may hand over: WSGI's strings hold bytes, one a character.
wsgi_text = st.text(st.characters(max_codepoint=255))
FIELDS = ["time", "app", "request_id", "method", "path", "status", "duration_ms"]


class Call:
    """One request through the middleware, as a server makes it."""

    def __init__(self, app: Any, *, log: str = "all", **environ: Any) -> None:
        self.lines: list[bytes] = []
        self.status = ""
        self.headers: Headers = []
        self.environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        middleware = Middleware(app, "app1", self.lines.append, log)
        body = middleware(self.environ, self._start)
        try:
            self.body = b"".join(body)
        finally:
            close: Callable[[], None] | None = getattr(body, "close", None)
            if close is not None:
                close()

    def _start(self, status: str, headers: Headers, _: Any = None) -> Any:
        self.status, self.headers = status, headers

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def record(self) -> dict[str, Any]:
        assert len(self.lines) == 1
        record: dict[str, Any] = json.loads(self.lines[0])
        return record


def answering(
    body: bytes | list[bytes] = b"hello", status: str = "200 OK", headers: Headers | None = None
) -> Any:
    chunks = [body] if isinstance(body, bytes) else body

    def app(_: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, headers or [("Content-Length", str(sum(map(len, chunks))))])
        return iter(chunks)

    return app


@given(id_=st.none() | wsgi_text, method=wsgi_text, path=wsgi_text, name=st.text())
def test_any_request_makes_exactly_one_json_line(
    id_: str | None, method: str, path: str, name: str
) -> None:
    lines: list[bytes] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/" + path, "HTTP_X_REQUEST_ID": id_}
    if id_ is None:
        del environ["HTTP_X_REQUEST_ID"]
    list(Middleware(answering(), name, lines.append)(environ, lambda *_: _))
    if environ["PATH_INFO"] == "/healthz":
        return
    (line,) = lines
    assert line.isascii()
    # Not splitlines() alone: nothing in the line may move a terminal's cursor or end a line.
    assert all(byte >= 0x20 for byte in line[:-1])
    assert line.endswith(b"\n")
    # One whole line for Docker's log, which splits at 16 KiB.
    record = json.loads(line)
    assert list(record) == FIELDS
    assert record["status"] == 200
    assert record["app"] == name


@given(part=st.text(min_size=1))
def test_a_line_of_the_longest_path_is_not_split_by_docker(part: str) -> None:
    # Repeated, since texts of so many random characters take seconds to make.
    given_path = "/" + (part * 4000)[:20_000].encode("utf-8", "replace").decode("latin-1")
    call = Call(answering(), PATH_INFO=given_path, REQUEST_METHOD="A" * 20_000)
    assert len(call.lines[0]) < 16 * 1024


@given(id_=wsgi_text)
def test_an_id_is_kept_or_replaced_but_never_changed(id_: str) -> None:
    kept = request_id(id_)
    assert 1 <= len(kept) <= 128
    assert all("!" <= character <= "~" for character in kept)
    if kept != id_:
        assert len(kept) == 32


@pytest.mark.parametrize(
    "hostile",
    [
        'a", "status": 500, "x": "',
        "a\nb",
        "a\r\nSet-Cookie: x=1",
        "\x1b[2J",
        "a\x85b",
        "é",
        "",
        "a" * 129,
        "id\n",
    ],
)
def test_a_hostile_id_is_replaced(hostile: str) -> None:
    call = Call(answering(), HTTP_X_REQUEST_ID=hostile)
    (sent,) = call.header("X-Request-ID")
    assert sent != hostile
    assert call.record()["request_id"] == sent
    assert call.environ["HTTP_X_REQUEST_ID"] == sent


def test_a_quote_in_an_id_stays_inside_its_field() -> None:
    id_ = '"},{"status":500}\\'
    record = Call(answering(), HTTP_X_REQUEST_ID=id_).record()
    assert record["request_id"] == id_
    assert record["status"] == 200


def test_the_proxys_id_reaches_app_answer_and_log() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(environ["HTTP_X_REQUEST_ID"])
        start("201 Created", [("X-Request-Id", "the app's own")])
        return [b""]

    call = Call(app, HTTP_X_REQUEST_ID="4f2c")
    assert seen == ["4f2c"]
    assert call.header("x-request-id") == ["4f2c"]
    assert call.record()["request_id"] == "4f2c"
    assert call.record()["status"] == 201


def test_a_path_is_logged_as_text() -> None:
    as_wsgi = "/مرحبا".encode().decode("latin-1")
    assert Call(answering(), PATH_INFO=as_wsgi).record()["path"] == "/مرحبا"


def test_the_time_is_utc_with_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    assert Call(answering()).record()["time"] == "2023-11-14T22:13:20.000Z"


@pytest.mark.parametrize(
    "body",
    [b"", b"whole", [b"two", b"chunks"], [b"", b"late"], []],
    ids=["empty", "whole", "chunks", "late", "none"],
)
@pytest.mark.parametrize("headers", [None, [("Content-Type", "text/plain")]], ids=["length", "no"])
def test_the_body_is_passed_on_unchanged(
    body: bytes | list[bytes], headers: Headers | None
) -> None:
    call = Call(answering(body, headers=headers))
    assert call.body == (body if isinstance(body, bytes) else b"".join(body))
    assert call.record()["status"] == 200


def test_the_answer_to_head_is_not_held_back() -> None:
    call = Call(answering([], headers=[("Content-Length", "30")]), REQUEST_METHOD="HEAD")
    assert call.body == b""
    assert call.header("Content-Length") == ["30"]
    assert call.record()["method"] == "HEAD"


@pytest.mark.parametrize("chunks", [[b"hello"], []], ids=["get", "head"])
def test_a_whole_answer_is_logged_before_it_is_sent(chunks: list[bytes]) -> None:
    lines: list[bytes] = []
    app = answering(chunks, headers=[("Content-Length", "5")])
    body = Middleware(app, "app1", lines.append)({"PATH_INFO": "/"}, lambda *_: _)
    assert len(lines) == 1
    assert list(body) == chunks


def test_a_stream_is_logged_once_when_it_ends() -> None:
    lines: list[bytes] = []
    logged_at: list[int] = []

    def app(_: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])

        def pieces() -> Iterator[bytes]:
            for piece in (b"a", b"b"):
                logged_at.append(len(lines))
                yield piece

        return pieces()

    body = Middleware(app, "app1", lines.append)({"PATH_INFO": "/"}, lambda *_: _)
    assert list(body) == [b"a", b"b"]
    assert logged_at == [0, 0]
    assert len(lines) == 1
    body.close()  # type: ignore[attr-defined]
    assert len(lines) == 1


def test_a_stream_the_client_left_is_closed_and_logged_once() -> None:
    closed: list[bool] = []

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append(True)

    def app(_: dict[str, Any], start: Any) -> Pieces:
        start("200 OK", [])
        return Pieces()

    lines: list[bytes] = []
    body = Middleware(app, "app1", lines.append)({"PATH_INFO": "/"}, lambda *_: _)
    next(iter(body))
    body.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert len(lines) == 1


def test_an_error_that_gets_past_the_app_is_a_500_with_its_id() -> None:
    def app(_: dict[str, Any], __: Any) -> list[bytes]:
        raise RuntimeError("secret detail")

    call = Call(app, HTTP_X_REQUEST_ID="4f2c")
    assert call.status == "500 Internal Server Error"
    assert b"secret" not in call.body
    assert "secret detail" in call.environ["wsgi.errors"].getvalue()
    assert call.header("X-Request-ID") == ["4f2c"]
    assert call.record()["status"] == 500


def test_probes_are_answered_for_an_app_without_a_route_and_not_logged() -> None:
    call = Call(answering(b"no such page", status="404 NOT FOUND"), PATH_INFO="/healthz")
    assert (call.status, call.body) == ("200 OK", b"ok")
    assert call.header("Content-Length") == ["2"]
    assert call.lines == []


@pytest.mark.parametrize("status", ["200 OK", "503 SERVICE UNAVAILABLE", "302 FOUND"])
def test_an_apps_own_probe_wins(status: str) -> None:
    call = Call(answering(b"mine", status=status), PATH_INFO="/healthz")
    assert (call.status, call.body) == (status, b"mine")
    assert call.lines == []


def test_a_404_elsewhere_stays_one() -> None:
    call = Call(answering(b"no such page", status="404 NOT FOUND"), PATH_INFO="/healthz/")
    assert call.status == "404 NOT FOUND"
    assert call.record()["status"] == 404


@pytest.mark.parametrize(
    ("log", "logged"),
    [("all", [200, 404, 500, 503]), ("errors", [500, 503]), ("none", [])],
)
def test_requests_are_logged_by_their_status(log: str, logged: list[int]) -> None:
    calls = [Call(answering(status=f"{code} X"), log=log) for code in (200, 404, 500, 503)]
    assert [json.loads(line)["status"] for call in calls for line in call.lines] == logged


def test_a_stream_that_fails_before_its_first_chunk_is_logged_as_500() -> None:
    def fails() -> Iterator[bytes]:
        raise RuntimeError("on purpose")
        yield b""

    def app(_: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return fails()

    lines: list[bytes] = []
    body = Middleware(app, "app1", lines.append, "errors")({"PATH_INFO": "/"}, lambda *_: _)
    with pytest.raises(RuntimeError, match="on purpose"):
        list(body)
    assert json.loads(lines[0])["status"] == 500


def test_settings_have_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert (settings.app, settings.port, settings.threads, settings.workers) == ("app", 8000, 32, 1)
    assert (settings.grace_seconds, settings.request_log) == (30, "all")


def test_settings_are_read() -> None:
    environ = {
        "APP": "app2",
        "PORT": "5002",
        "THREADS": "4",
        "WORKERS": "2",
        "GRACE_SECONDS": "10",
        "HEAD_BYTES": "8192",
        "REQUEST_LOG": "errors",
    }
    assert Settings.from_environment(environ) == Settings("app2", 5002, 4, 2, 10, 8192, "errors")


@pytest.mark.parametrize("bad", ["", "0", "-1", "65536", "x", "1.5", " 1", "1_0", "²", "٣"])
def test_a_bad_setting_is_named_with_its_value(bad: str) -> None:
    with pytest.raises(ValueError, match="PORT") as caught:
        Settings.from_environment({"PORT": bad})
    assert repr(bad) in str(caught.value)


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(ValueError, match="PORT") as caught:
        Settings.from_environment({"PORT": "x", "THREADS": "0", "REQUEST_LOG": "some"})
    assert {line.partition(":")[0] for line in str(caught.value).splitlines()} == {
        "PORT",
        "THREADS",
        "REQUEST_LOG",
    }


@pytest.mark.parametrize(
    ("path", "range_", "expected"),
    [
        ("/file", "", True),
        ("/file", "bytes=70000-", True),
        # What a generator uses may belong to the thread that has begun it.
        ("/generator", "", False),
    ],
)
def test_only_files_are_sent_by_any_thread(path: str, range_: str, expected: bool) -> None:
    app, content = flask.Flask("app"), bytes(range(250)) * 800

    @app.get("/file")
    def file() -> flask.Response:
        return flask.send_file(io.BytesIO(content), "text/plain", conditional=True)

    @app.get("/generator")
    def generator() -> flask.Response:
        return flask.Response(content[i : i + 1000] for i in range(0, len(content), 1000))

    headers = {"Range": range_} if range_ else {}
    environ = app.test_request_context(path, headers=headers).request.environ
    environ["wsgi.file_wrapper"] = FileWrapper
    body = Middleware(app, "app1", lambda _: None)(environ, lambda *_: lambda _: None)
    assert getattr(body, "from_any_thread", False) == expected
    assert b"".join(body) == (content[70000:] if range_ else content)
