"""Request bodies, however they are sent and read."""

import hashlib
import json
import socket
from collections.abc import Callable

import pytest

from tests.apps.conformance.conftest import Start
from tests.apps.conformance.servers import Process, Server
from tests.apps.conformance.wire import IncompleteError, Wire, chunked, request, sized

Send = Callable[[str, bytes], bytes]

LINES = b"".join(b"line %d\n" % number for number in range(10_000))
BODIES = {"small": b"0123456789", "lines": LINES, "no newline": b"x" * (1 << 20), "empty": b""}
WAYS = [
    "read", "read-minus-one", "read-n", "read-4-then-rest", "read-4-then-n", "readline",
    "readline-n", "readlines", "iterate", "line-then-read", "past-the-end",
]  # fmt: skip
SEND: dict[str, Send] = {"sized": sized, "chunked": chunked}

sent = pytest.mark.parametrize("send", SEND.values(), ids=SEND)


def length(body: bytes) -> int:
    """Read how many bytes the app got."""
    found: int = json.loads(body)["length"]
    return found


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@sent
def test_a_body_is_read_whole(wire: Wire, send: Send, body: bytes, how: str) -> None:
    wire.send(send(f"/body/{how}", body))
    response = wire.response()
    assert response.status == 200
    seen = json.loads(response.body)
    assert seen["length"] == len(body)
    assert seen["sha256"] == hashlib.sha256(body).hexdigest()
    if how in {"readline", "readlines", "iterate"}:
        assert seen["count"] == len(body.splitlines())
    if how == "read-4-then-rest":
        assert seen["sizes"] == [min(4, len(body)), max(0, len(body) - 4)]
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("how", ["read-n", "readline", "readlines", "iterate"])
@sent
def test_the_stream_is_valid(wire: Wire, send: Send, how: str) -> None:
    wire.send(send(f"/v/body/{how}", LINES))
    response = wire.response()
    assert response.status == 200
    assert length(response.body) == len(LINES)


@pytest.mark.parametrize("how", ["none", "partly"])
@pytest.mark.parametrize("size", [10, 5000, 300_000])
@sent
def test_an_unread_body_is_not_taken_for_a_request(
    wire: Wire, send: Send, size: int, how: str
) -> None:
    smuggled = request("/environ/smuggled")
    body = (smuggled * (size // len(smuggled) + 1))[:size]
    wire.send(send(f"/body/{how}", body))
    assert wire.response().status == 200
    wire.expect_next_or_end()


def test_a_body_in_single_bytes(wire: Wire) -> None:
    for byte in chunked("/body/read", b"0123456789", size=3):
        wire.send(bytes([byte]))
    assert length(wire.response().body) == 10


def test_chunk_extensions_and_trailers_are_dropped(wire: Wire) -> None:
    body = b'5;name="a b"\r\n01234\r\n5;x\r\n56789\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n'
    wire.send(request("/body/read", b"Transfer-Encoding: chunked", method="POST", body=body))
    assert length(wire.response().body) == 10
    assert wire.get("/hello").body == b"hello"


def test_the_name_of_the_coding_has_any_case(wire: Wire) -> None:
    body = b"A\r\n0123456789\r\n0\r\n\r\n"
    wire.send(request("/body/read", b"transfer-encoding: Chunked", method="POST", body=body))
    assert length(wire.response().body) == 10


def test_a_get_may_have_a_body(wire: Wire) -> None:
    wire.send(sized("/body/read", b"12345", method="GET"))
    assert length(wire.response().body) == 5


def test_continue_is_sent_to_a_client_that_waits_for_it(wire: Wire) -> None:
    wire.send(request("/body/read", b"Expect: 100-continue", b"Content-Length: 5", method="POST"))
    assert wire.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    wire.send(b"12345")
    assert length(wire.response().body) == 5
    assert wire.get("/hello").body == b"hello"


def test_no_continue_when_the_app_refuses(direct_wire: Wire) -> None:
    lines = b"Expect: 100-continue", b"Content-Length: 5000000"
    direct_wire.send(request("/early", *lines, method="POST"))
    response = direct_wire.response()
    assert (response.status, response.interim) == (413, [])
    try:
        direct_wire.send(request("/hello"))
        rest = direct_wire.rest()
    except (IncompleteError, ConnectionError) as error:
        rest = getattr(error, "got", b"")
    assert b"hello" not in rest, "the next request was taken for the body or the reverse"


def test_no_continue_for_http_1_0(wire: Wire) -> None:
    lines = b"Host: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n12345"
    wire.send(b"POST /body/read HTTP/1.0\r\n" + lines)
    response = wire.response()
    assert (response.status, response.interim) == (200, [])


def test_an_unknown_expectation_is_refused_or_ignored(wire: Wire) -> None:
    assert wire.get("/hello", b"Expect: wonders").status in {200, 417}


def test_an_early_response_reaches_a_client_that_still_sends(wire: Wire) -> None:
    size = 8 << 20
    wire.send(request("/early", b"Content-Length: %d" % size, method="POST"))
    sent = 0
    try:
        while sent < size:
            wire.send(b"x" * 65536)
            sent += 65536
    except (ConnectionError, TimeoutError):
        pass
    response = wire.response()
    assert (response.status, response.body) == (413, b"too large")


def test_an_early_response_does_not_wait_for_the_body(direct_wire: Wire) -> None:
    lines = (b"Content-Length: 10000000",)
    direct_wire.send(request("/early", *lines, method="POST", body=b"x" * 1000))
    assert direct_wire.response().status == 413


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_a_body_that_breaks_off_is_not_taken_for_whole(wire: Wire, kind: str) -> None:
    if kind == "sized":
        line, body = b"Content-Length: 100", b"x" * 10
    else:
        line, body = b"Transfer-Encoding: chunked", b"64\r\nxxxxx"
    wire.send(request("/body/read", line, method="POST", body=body))
    wire.socket.shutdown(socket.SHUT_WR)
    try:
        response = wire.response()
    except IncompleteError:
        return
    assert response.status in {400, 408, 500}, "the app took a part for the whole"


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5, 6",),
        (b"Content-Length: +5",),
        (b"Content-Length: -5",),
        (b"Content-Length: 0x5",),
        (b"Content-Length: 5_0",),
        (b"Content-Length: \xb2",),
        (b"Content-Length: 5 5",),
        (b"Content-Length:",),
        (b"Content-Length: 99999999999999999999999999",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding: identity, gzip",),
        (b"Transfer-Encoding: \x0bchunked",),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding:",),
    ],
    ids=lambda lines: b" | ".join(lines).decode("latin-1"),
)
def test_an_invalid_length_is_refused(direct_wire: Wire, headers: tuple[bytes, ...]) -> None:
    body = b"5\r\n12345\r\n0\r\n\r\n"
    direct_wire.send(request("/body/read", *headers, method="POST", body=body))
    direct_wire.send(request("/environ/smuggled"))
    assert direct_wire.response().status in {400, 411, 413, 501}
    assert direct_wire.is_closed()


@pytest.mark.parametrize("order", [1, -1], ids=["length first", "chunked first"])
def test_a_length_beside_chunks_smuggles_nothing(wire: Wire, order: int) -> None:
    lines = [b"Content-Length: 4", b"Transfer-Encoding: chunked"][::order]
    body = b"1\r\nx\r\n0\r\n\r\n"
    wire.send(request("/body/read", *lines, method="POST", body=body))
    wire.send(request("/environ/smuggled"))
    first = wire.response()
    # RFC 9112, 6.3: chunks count, and the connection is closed after the response.
    assert first.status == 400 or length(first.body) == 1
    assert wire.is_closed()


def test_chunks_in_http_1_0_smuggle_nothing(wire: Wire) -> None:
    lines = b"Host: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(b"POST /body/read HTTP/1.0\r\n" + lines + b"5\r\n12345\r\n0\r\n\r\n")
    wire.send(request("/environ/smuggled"))
    wire.response()
    assert b"smuggled" not in wire.rest()


BAD_CHUNKS = {
    "letters": b"zz\r\nx\r\n0\r\n\r\n",
    "negative": b"-1\r\nx\r\n0\r\n\r\n",
    "hex prefix": b"0x5\r\n12345\r\n0\r\n\r\n",
    "plus": b"+5\r\n12345\r\n0\r\n\r\n",
    "longer": b"5\r\n12345678\r\n0\r\n\r\n",
    "shorter": b"5\r\n1234\r\n0\r\n\r\n",
    "no size": b"\r\n12345\r\n0\r\n\r\n",
    "underscore": b"5_\r\n12345\r\n0\r\n\r\n",
    "huge": b"fffffffffffffffff\r\nx\r\n0\r\n\r\n",
    "nul": b"5;\x00\r\n12345\r\n0\r\n\r\n",
    "space": b" 5\r\n12345\r\n0\r\n\r\n",
    "bare lf": b"5\n12345\r\n0\r\n\r\n",
    "long extension": b"5;" + b"x" * 200_000 + b"\r\n12345\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_bad_chunk_is_refused(direct_wire: Wire, raw: bytes) -> None:
    line = b"Transfer-Encoding: chunked"
    try:
        direct_wire.send(request("/body/read", line, method="POST", body=raw))
        direct_wire.send(request("/environ/smuggled"))
        response = direct_wire.response()
    except (IncompleteError, ConnectionError) as error:
        assert "silence" not in str(error)
        assert getattr(error, "got", b"") == b""
        return
    assert response.status in {400, 413, 431, 500}
    assert direct_wire.is_closed()


PIECE = b"x" * (1 << 20)
UPLOADS = {
    "sized": (b"Content-Length: %d" % (100 << 20), PIECE, b""),
    "chunked": (b"Transfer-Encoding: chunked", b"100000\r\n" + PIECE + b"\r\n", b"0\r\n\r\n"),
}


@pytest.mark.parametrize(("line", "piece", "end"), UPLOADS.values(), ids=UPLOADS)
def test_a_large_upload_takes_no_memory(
    start: Start, line: bytes, piece: bytes, end: bytes
) -> None:
    server = start()
    with Wire(server.address) as wire:
        wire.send(sized("/count", b"x" * 100_000))
        wire.response()
        before, highest = server.rss(), 0
        wire.send(request("/count", line, method="POST"))
        for _ in range(100):
            wire.send(piece)
            highest = max(highest, server.rss())
        wire.send(end)
        assert wire.response().body == str(100 << 20).encode()
    assert highest - before < 16 << 20, f"{(highest - before) >> 20} MB more"


def test_both_servers_have_their_app(direct: Process, server: Server) -> None:
    with Wire(server.address) as wire:
        proxied = "HTTP_X_FORWARDED_FOR" in json.loads(wire.get("/environ").body)
    assert proxied == (server is not direct)
