"""What a client gets of a response."""

import json
import socket
import time

import pytest

from tests.apps.conformance.conftest import Start
from tests.apps.conformance.servers import HERE, Process, Server, wait_for
from tests.apps.conformance.wire import IncompleteError, Wire, request


def cut_off(wire: Wire, target: str) -> bytes:
    """Ask for a response that breaks off; returns what came of it."""
    wire.send(request(target))
    with pytest.raises(IncompleteError) as caught:
        raise AssertionError(wire.response())
    assert "silence" not in str(caught.value)
    return caught.value.got


def test_status_reason_and_headers_as_they_are(wire: Wire) -> None:
    response = wire.get("/headers")
    assert (response.status, response.reason) == (299, b"Tr\xe8s bien")
    assert response.get("X-Name") == b"Jos\xe9"
    assert response.all("Set-Cookie") == [b"a=1", b"b=2"]
    assert response.get("X-Empty") == b""
    assert len(response.all("Date")) == 1


@pytest.mark.parametrize("status", [201, 400, 404, 418, 429, 500, 502, 503, 504, 599])
def test_statuses_of_the_app_are_passed_on(wire: Wire, status: int) -> None:
    response = wire.get(f"/status-body/{status}_Own_Words")
    assert (response.status, response.reason) == (status, b"Own Words")
    assert response.body == b"body"


def test_a_date_of_the_app_is_not_doubled(wire: Wire) -> None:
    response = wire.get("/own-date")
    assert len(response.all("Date")) == 1
    assert len(response.all("Server")) <= 1


def test_a_large_response_header_is_sent(direct_wire: Wire) -> None:
    assert len(direct_wire.get("/headers?40000").get("X-Large") or b"") == 40000


@pytest.mark.parametrize("kind", ["lf", "crlf", "nul", "cr"])
def test_no_header_is_injected(wire: Wire, kind: str) -> None:
    response = wire.get(f"/injected/{kind}")
    assert response.get("X-Evil") is None
    assert response.status == 500


@pytest.mark.parametrize("path", ["/late", "/late-empty", "/v/late"])
def test_start_response_at_the_first_chunk(wire: Wire, path: str) -> None:
    response = wire.get(path)
    assert (response.status, response.get("X-Late"), response.body) == (404, b"yes", b"late")


@pytest.mark.parametrize("path", ["/write", "/v/write"])
def test_write(wire: Wire, path: str) -> None:
    assert wire.get(path).body == b"abc"


def test_start_response_again_with_an_error(wire: Wire) -> None:
    response = wire.get("/v/twice/exc")
    assert (response.status, response.reason, response.body) == (503, b"Sorry", b"second")
    assert response.get("X-First") is None
    assert response.get("X-Second") == b"2"


def test_start_response_again_without_an_error_is_one(wire: Wire) -> None:
    assert wire.get("/twice/plain").status == 500


def test_start_response_after_the_headers_raises_the_error(wire: Wire) -> None:
    assert b"second" not in cut_off(wire, "/twice/sent")


def test_an_app_that_never_starts_a_response_is_an_error(wire: Wire) -> None:
    assert wire.get("/never").status == 500


@pytest.mark.parametrize("when", ["call", "first"])
def test_an_error_before_the_headers_is_500(wire: Wire, when: str) -> None:
    assert wire.get(f"/fails/{when}").status == 500


@pytest.mark.parametrize("when", ["later", "length"])
def test_an_error_after_the_headers_cuts_the_body(server: Server, when: str) -> None:
    count = server.notes.count(f"closed fails-{when}")
    with Wire(server.address) as wire:
        cut_off(wire, f"/fails/{when}")
    # The connection has ended, and so has all that the server does for this request.
    assert server.notes.count(f"closed fails-{when}") == count + 1
    with Wire(server.address) as wire:
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("which", ["longer", "longer-in-pieces"])
def test_a_body_that_is_longer_than_its_length_is_cut(wire: Wire, which: str) -> None:
    wire.send(request(f"/mismatch/{which}"))
    assert wire.response().body == b"12345"
    wire.expect_next_or_end()


def test_a_body_that_is_shorter_than_its_length_is_not_completed(direct_wire: Wire) -> None:
    direct_wire.send(request("/mismatch/shorter") + request("/hello"))
    with pytest.raises(IncompleteError) as caught:
        raise AssertionError(direct_wire.response())
    assert "silence" not in str(caught.value)


@pytest.mark.parametrize("path", ["/pieces/a", "/v/pieces/a"])
def test_a_body_without_a_length(wire: Wire, path: str) -> None:
    response = wire.get(path)
    assert response.body == b"one,two,three"
    assert response.get("Transfer-Encoding") == b"chunked"


@pytest.mark.parametrize(("path", "body"), [("/one", b"one"), ("/generated", b"only")])
def test_a_body_of_one_piece(wire: Wire, path: str, body: bytes) -> None:
    assert wire.get(path).body == body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_close_is_called_once(server: Server, method: str) -> None:
    name = f"once-{method}-{server.address[1]}"
    with Wire(server.address) as wire:
        assert wire.get(f"/pieces/{name}", method=method).status == 200
        server.notes.wait_for(f"closed {name}")
        assert wire.get("/hello").body == b"hello"
    assert server.notes.count(f"closed {name}") == 1


@pytest.mark.parametrize("path", ["/hello", "/pieces/h", "/v/hello", "/generated", "/large/1"])
def test_head_has_the_headers_and_no_body(wire: Wire, path: str) -> None:
    response = wire.get(path, method="HEAD")
    assert response.status == 200
    if path.endswith("hello"):
        assert response.get("Content-Length") == b"5"
    if path == "/large/1":
        assert response.get("Content-Length") == b"1048576"
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("line", ["204_No_Content", "304_Not_Modified"])
@pytest.mark.parametrize("path", ["/status", "/status-body"])
def test_no_body_where_there_is_none(wire: Wire, path: str, line: str) -> None:
    response = wire.get(f"{path}/{line}")
    assert response.status == int(line[:3])
    assert response.get("Transfer-Encoding") is None
    if response.status == 204:
        assert response.get("Content-Length") is None
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("line", ["200_OK", "404_Not_Found"])
def test_an_empty_body_has_an_end(wire: Wire, line: str) -> None:
    assert wire.get(f"/status/{line}").body == b""
    assert wire.get("/hello").body == b"hello"


def test_one_connection_serves_many_requests(wire: Wire) -> None:
    for _ in range(20):
        response = wire.get("/v/hello")
        assert response.body == b"hello"
        assert (response.get("Connection") or b"keep-alive").lower() == b"keep-alive"


@pytest.mark.parametrize("value", [b"close", b"Close", b"close, x-a", b"x-a,close"])
def test_a_client_can_ask_for_the_end(direct_wire: Wire, value: bytes) -> None:
    response = direct_wire.get("/hello", b"Connection: " + value)
    assert response.body == b"hello"
    assert (response.get("Connection") or b"").lower() == b"close"
    assert direct_wire.is_closed()


def test_hop_by_hop_headers_of_an_app_are_harmless(direct_wire: Wire) -> None:
    response = direct_wire.get("/hop")
    assert response.status == 200
    assert (response.get("Connection") or b"").lower() == b"close"
    assert direct_wire.is_closed()


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    requests = (
        request(f"/body/read?{n}", b"Content-Length: %d" % n, method="POST", body=b"x" * n)
        for n in range(20)
    )
    wire.send(b"".join(requests))
    assert [json.loads(wire.response().body)["length"] for _ in range(20)] == list(range(20))


def test_a_pipelined_request_after_a_close_is_not_answered(direct_wire: Wire) -> None:
    direct_wire.send(request("/hello", b"Connection: close") + request("/environ/next"))
    assert direct_wire.response().body == b"hello"
    assert direct_wire.is_closed()


def test_a_half_closed_client_gets_its_response(direct_wire: Wire) -> None:
    direct_wire.send(request("/pieces/half"))
    direct_wire.socket.shutdown(socket.SHUT_WR)
    assert direct_wire.response().body == b"one,two,three"


@pytest.mark.parametrize("path", ["/file", "/v/file"])
def test_a_file(wire: Wire, path: str) -> None:
    assert wire.get(path).body == (HERE / "app.py").read_bytes()
    assert wire.get(path, method="HEAD").status == 200
    assert wire.get("/hello").body == b"hello"


def test_errors_of_the_app_are_written(server: Server) -> None:
    with Wire(server.address) as wire:
        assert wire.get("/v/errors/noted").status == 200
    wait_for(lambda: "café noted\none\ntwo\n" in server.text(), "text in the log", server.text)


def test_events_are_sent_as_they_come(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(request("/events/stream"))
        assert wire.head().status == 200
        for number in range(3):
            assert wire.chunk() == b"data: %d\n\n" % number
            server.notes.open(f"stream-{number}")
        assert wire.chunk() == b""
    server.notes.wait_for("closed stream")


def test_a_client_that_leaves_ends_the_stream(server: Server) -> None:
    with Wire(server.address) as wire:
        wire.send(request("/endless/left"))
        wire.head()
        wire.chunk()
    server.notes.wait_for("closed left")


def test_a_large_response_is_whole(wire: Wire) -> None:
    assert len(wire.get("/large/100").body) == 100 << 20


def test_a_large_response_to_a_slow_client_takes_no_memory(start: Start) -> None:
    server = start()
    with Wire(server.address) as wire:
        wire.get("/large/1")
        server.notes.wait_for("closed large")
        before = server.rss()
        wire.send(request("/large/100"))
        wire.head()
        for _ in range(20):
            assert wire.exactly(1 << 20) == b"x" * (1 << 20)
            # The server has sent what the client has not read yet.
            wait_for(lambda: any(one.unsent for one in server.sockets()), "a full socket")
            assert server.rss() - before < 16 << 20
        assert server.notes.count("closed large") == 1


def test_a_client_that_leaves_a_large_response(direct: Process) -> None:
    count = direct.notes.count("closed large")
    with Wire(direct.address) as wire:
        wire.send(request("/large/100"))
        wire.head()
    direct.notes.wait_for("closed large", count + 1)


@pytest.mark.faults
def test_a_client_that_pauses_for_longer_than_a_minute_gets_the_rest(direct_wire: Wire) -> None:
    """nginx gives up on it at http.sendTimeout, ten minutes by default, and stores nothing."""
    direct_wire.send(request("/large/50"))
    assert direct_wire.head().status == 200
    time.sleep(65)
    size = 50 << 20
    assert len(direct_wire.exactly(size)) == size
