"""Requests as the apps' server parses them, for any bytes and in pieces of any size."""

import io
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps._server.connection import ClientGone, Connection
from apps._server.input import Input
from apps._server.message import BadRequest, Chunked, Head, Sized

bodies = st.lists(st.sampled_from([b"a", b"\n", b"line\n", b"\r\n", b"x" * 50]), max_size=30).map(
    b"".join
)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=10)


class Pieces:
    """A connection on which bytes come in pieces of given sizes, over and over, and then end."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.buffer = bytearray()
        self._rest = data
        self._sizes = sizes
        self._turn = 0

    def receive(self) -> None:
        if not self._rest:
            raise ClientGone("end")
        size = self._sizes[self._turn % len(self._sizes)]
        self._turn += 1
        self.buffer += self._rest[:size]
        self._rest = self._rest[size:]

    def left(self) -> bytes:
        return bytes(self.buffer) + self._rest


def chunks(body: bytes, sizes: list[int]) -> bytes:
    """Write a body in chunks of given sizes, over and over."""
    data, turn = b"", 0
    while body:
        size = sizes[turn % len(sizes)]
        turn += 1
        data += b"%x\r\n%b\r\n" % (len(body[:size]), body[:size])
        body = body[size:]
    return data + b"0\r\n\r\n"


def opened(body: bytes, pieces: list[int], chunked: list[int] | None) -> tuple[Input, Pieces]:
    """Return the input of a request, and the connection, which has another request after it."""
    data = body if chunked is None else chunks(body, chunked)
    connection = Pieces(data + b"NEXT", pieces)
    framing = Sized(len(body)) if chunked is None else Chunked()
    return Input(cast(Connection, connection), framing, expects=False), connection


@given(body=bodies, pieces=sizes, chunked=st.none() | sizes)
def test_a_body_is_what_was_sent_and_the_next_request_stays(
    body: bytes, pieces: list[int], chunked: list[int] | None
) -> None:
    stream, connection = opened(body, pieces, chunked)
    assert stream.read() == body
    assert stream.read() == stream.read(5) == stream.readline() == b""
    assert connection.left() == b"NEXT"


@given(
    body=bodies,
    pieces=sizes,
    chunked=st.none() | sizes,
    calls=st.lists(
        st.tuples(st.sampled_from(["read", "readline", "readlines"]), st.integers(1, 30)),
        max_size=20,
    ),
)
def test_the_input_reads_like_a_file(
    body: bytes, pieces: list[int], chunked: list[int] | None, calls: list[tuple[str, int]]
) -> None:
    stream, _ = opened(body, pieces, chunked)
    file = io.BytesIO(body)
    for name, size in calls:
        assert getattr(stream, name)(size) == getattr(file, name)(size)
    assert list(stream) == list(file)


@given(body=bodies.filter(len), pieces=sizes, chunked=st.none() | sizes, cut=st.integers(1, 1000))
def test_a_body_that_breaks_off_is_an_error(
    body: bytes, pieces: list[int], chunked: list[int] | None, cut: int
) -> None:
    data = body if chunked is None else chunks(body, chunked)
    connection = Pieces(data[: -min(cut, len(data))], pieces)
    framing = Sized(len(body)) if chunked is None else Chunked()
    with pytest.raises(ClientGone):
        Input(cast(Connection, connection), framing, expects=False).read()


@given(
    head=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [b"GET", b" ", b"/", b"*", b"http://h", b"HTTP/1.1", b"\r\n", b"Host:", b"a", b"%",
                 b"Content-Length: 1", b"Transfer-Encoding: chunked", b"\n", b"\0", b"\xe9", b":"]
            ),
            max_size=20,
        ).map(b"".join),
    )
)  # fmt: skip
def test_any_head_is_parsed_or_refused(head: bytes) -> None:
    try:
        parsed = Head(head + b"\r\n\r\n")
    except BadRequest as error:
        assert error.status[:3] in {"400", "417", "501", "505"}
        return
    # A host is named in HTTP/1.1, and no variable holds the end of a line.
    assert not parsed.http11 or "HTTP_HOST" in parsed.environ
    assert not any("\r" in value or "\n" in value for value in header_values(parsed))


def header_values(head: Head) -> list[str]:
    """Return what the headers have become; a path may be unquoted to any byte."""
    return [value for name, value in head.environ.items() if name != "PATH_INFO"]
