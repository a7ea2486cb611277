"""What an app sees of a request: line, headers and environ."""

import contextlib
import json
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import application_uri

import pytest

from tests.apps.conformance.servers import Process
from tests.apps.conformance.wire import IncompleteError, Wire, request, sized


def seen(
    wire: Wire, target: str = "/environ", *lines: bytes, method: str = "GET"
) -> dict[str, Any]:
    """Return the environ of a request."""
    response = wire.get(target, *lines, method=method)
    assert response.status == 200, response
    environ: dict[str, Any] = json.loads(response.body)
    return environ


def test_the_environ_has_what_pep_3333_requires(direct_wire: Wire) -> None:
    environ = seen(direct_wire, "/v/environ/a?b=%20c&d")
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/environ/a"
    assert environ["QUERY_STRING"] == "b=%20c&d"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"].isdigit()
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_HOST"] == "localhost"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.run_once"] is False
    assert environ.get("CONTENT_LENGTH", "") == ""
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_content_type_and_length_are_not_http_variables(wire: Wire) -> None:
    wire.send(sized("/environ", b"{}", b"Content-Type: application/json"))
    environ = json.loads(wire.response().body)
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("application/json", "2")
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_methods(wire: Wire, method: str) -> None:
    with_body = method in {"POST", "PUT", "PATCH"}
    wire.send(
        sized("/environ", b"", method=method) if with_body else request("/environ", method=method)
    )
    assert json.loads(wire.response().body)["REQUEST_METHOD"] == method


RAW = {"latin1": b"Jos\xe9", "utf8": "José €".encode(), "high": b"\x80\xff", "ascii": b"plain"}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
@pytest.mark.parametrize("name", ["X-Name", "Cookie"])
def test_header_bytes_are_latin_1(wire: Wire, name: str, raw: bytes) -> None:
    environ = seen(wire, "/environ", name.encode() + b": a=" + raw + b"; b=1")
    key = "HTTP_" + name.upper().replace("-", "_")
    assert environ[key].encode("latin-1") == b"a=" + raw + b"; b=1"


def test_repeated_headers_are_joined_in_order(wire: Wire) -> None:
    environ = seen(wire, "/environ", b"X-A: 1", b"X-B: x", b"x-a: 2", b"X-A: 3")
    assert [part.strip() for part in environ["HTTP_X_A"].split(",")] == ["1", "2", "3"]


def test_repeated_cookies_are_joined_as_cookies(wire: Wire) -> None:
    # RFC 9113, 8.2.3: by "; ", before they reach what does not use HTTP/2.
    assert seen(wire, "/environ", b"Cookie: a=1", b"Cookie: b=2")["HTTP_COOKIE"] == "a=1; b=2"


@pytest.mark.parametrize("value", [b"", b" ", b" \t "], ids=["none", "space", "tab"])
def test_an_empty_header_is_there(direct_wire: Wire, value: bytes) -> None:
    # nginx passes no header without a value on.
    assert seen(direct_wire, "/environ", b"X-Empty:" + value)["HTTP_X_EMPTY"] == ""


def test_white_space_around_a_value_is_not_part_of_it(direct_wire: Wire) -> None:
    assert seen(direct_wire, "/environ", b"X-A: \t a b\t ")["HTTP_X_A"] == "a b"


def test_a_header_with_an_underscore_is_not_taken_for_another(wire: Wire) -> None:
    response = wire.get("/environ", b"X-User: right", b"X_User: wrong")
    assert response.status == 400 or json.loads(response.body)["HTTP_X_USER"] == "right"


def test_a_header_cannot_set_a_variable_of_wsgi(wire: Wire) -> None:
    response = wire.get("/environ", b"SCRIPT_NAME: /x", b"Script-Name: /x")
    assert response.status == 400 or json.loads(response.body)["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("kilobytes", [8, 16, 31])
def test_large_headers_arrive(direct_wire: Wire, kilobytes: int) -> None:
    environ = seen(direct_wire, "/environ", b"X-Large: " + b"x" * (kilobytes << 10))
    assert len(environ["HTTP_X_LARGE"]) == kilobytes << 10


def test_many_cookies_arrive(direct_wire: Wire) -> None:
    cookies = "; ".join(f"name{number}={'v' * 200}" for number in range(100))
    environ = seen(direct_wire, "/environ", f"Cookie: {cookies}".encode())
    assert environ["HTTP_COOKIE"] == cookies


def test_a_long_query_arrives(wire: Wire) -> None:
    assert len(seen(wire, "/environ?" + "q" * 7000)["QUERY_STRING"]) == 7000


ENDLESS = {
    "one line": b"X-A: " + b"x" * 65536,
    "many lines": b"X-A: 1\r\n" * 8192,
}


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS)
def test_headers_without_end_are_refused(direct: Process, piece: bytes) -> None:
    with Wire(direct.address) as wire:
        try:
            wire.send(b"GET /environ HTTP/1.1\r\nHost: x\r\n")
            for _ in range(64):
                wire.send(piece)
        except ConnectionError:
            pass
        assert is_refused(wire)
    with Wire(direct.address) as wire:
        assert wire.get("/hello").body == b"hello"


def test_a_target_without_end_is_refused(direct_wire: Wire) -> None:
    with contextlib.suppress(ConnectionError):
        direct_wire.send(b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_refused(direct_wire)


def is_refused(wire: Wire) -> bool:
    """Tell whether a response says that a request is too large, or its connection is closed."""
    try:
        return wire.head().status in {400, 413, 414, 431}
    except IncompleteError as error:
        return "silence" not in str(error)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/environ/%E9", b"/environ/\xe9"),
        ("/environ/%C3%A9%e2%82%ac", "/environ/é€".encode()),
        ("/environ/a%2Fb", b"/environ/a/b"),
        ("/environ/a+b%20c", b"/environ/a+b c"),
        ("/environ/a%3Fb", b"/environ/a?b"),
        ("/environ/;a=1,b=2@:!$&'()*", b"/environ/;a=1,b=2@:!$&'()*"),
        ("/environ//a///b", b"/environ//a///b"),
        ("/environ/x/../a", b"/environ/x/../a"),
        ("http://localhost/environ/absolute?x", b"/environ/absolute"),
        ("/environ/a?b?c", b"/environ/a"),
    ],
)
def test_the_path_is_unquoted_to_latin_1(wire: Wire, target: str, path: bytes) -> None:
    assert seen(wire, target)["PATH_INFO"].encode("latin-1") == path


@pytest.mark.parametrize("target", ["/environ/%", "/environ/%zz%4"])
def test_a_percent_sign_that_quotes_nothing_is_kept(direct_wire: Wire, target: str) -> None:
    assert seen(direct_wire, target)["PATH_INFO"] == target


def test_the_raw_target_is_kept(wire: Wire) -> None:
    environ = seen(wire, "/environ/a%2Fb?c")
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/environ/a%2Fb?c"


def test_path_bytes_above_127_are_kept_or_refused(wire: Wire) -> None:
    wire.send(b"GET /environ/\xe9 HTTP/1.1\r\nHost: x\r\n\r\n")
    response = wire.response()
    assert response.status == 400 or json.loads(response.body)["PATH_INFO"] == "/environ/\xe9"


def test_http_1_0_without_a_host(direct_wire: Wire) -> None:
    direct_wire.send(b"GET /environ HTTP/1.0\r\n\r\n")
    environ = json.loads(direct_wire.response().body)
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"]
    assert direct_wire.is_closed()


def test_links_of_an_http_1_0_request_without_a_host_name_one(wire: Wire) -> None:
    """Case A8: what an app takes for its own address, such as Flask for external links."""
    wire.send(b"GET /environ HTTP/1.0\r\n\r\n")
    address = urlsplit(application_uri(json.loads(wire.response().body)))
    assert (address.scheme, bool(address.hostname), address.path) == ("http", True, "/")


def test_http_1_0_gets_no_chunks(wire: Wire) -> None:
    wire.send(b"GET /pieces/x HTTP/1.0\r\nHost: localhost\r\n\r\n")
    response = wire.response()
    assert response.get("Transfer-Encoding") is None
    assert response.body == b"one,two,three"


def test_http_1_0_keep_alive(wire: Wire) -> None:
    wire.send(b"GET /hello HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    response = wire.response()
    assert response.body == b"hello"
    assert (response.get("Connection") or b"").lower() == b"keep-alive"
    assert wire.get("/hello").body == b"hello"


INVALID = {
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "http/0.9": b"GET /hello\r\n\r\n",
    "http/3.7": b"GET /hello HTTP/3.7\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "nul in method": b"G\x00T /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"GET /hel lo HTTP/1.1\r\nHost: a\r\n\r\n",
    "space before colon": b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
    "nul in value": b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n",
    "bare cr": b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: a\rX-B: b\r\n\r\n",
    "no name": b"GET /hello HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
    "no colon": b"GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "leading space": b"GET /hello HTTP/1.1\r\n X: leading\r\nHost: a\r\n\r\n",
    "folded": b"GET /hello HTTP/1.1\r\nHost: a\r\nX-A: a\r\n b\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", INVALID.values(), ids=INVALID)
def test_an_invalid_request_is_refused(direct_wire: Wire, raw: bytes) -> None:
    direct_wire.send(raw)
    assert direct_wire.response().status in {400, 505}
    assert direct_wire.is_closed()


@pytest.mark.parametrize("pieces", [(b"\r\n",), (b"\r", b"\n")], ids=["at once", "in bytes"])
def test_an_empty_line_before_a_request_is_ignored(
    direct: Process, pieces: tuple[bytes, ...]
) -> None:
    with Wire(direct.address) as wire:
        for piece in pieces:
            wire.send(piece)
            direct.wait_until_unread_is(0)
        wire.send(request("/hello"))
        assert wire.response().body == b"hello"


UPGRADES = {
    "h2c": (
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ),
    "foo": (b"Connection: Upgrade", b"Upgrade: foo"),
    "websocket": (
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
}


@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_that_the_server_does_not_know_is_ignored(
    wire: Wire, lines: tuple[bytes, ...]
) -> None:
    assert wire.get("/hello", *lines).body == b"hello"


def test_a_head_in_single_bytes(wire: Wire) -> None:
    for byte in request("/hello"):
        wire.send(bytes([byte]))
    assert wire.response().body == b"hello"


def test_options_for_the_server_itself(direct_wire: Wire) -> None:
    assert direct_wire.get("*", method="OPTIONS").status == 404
