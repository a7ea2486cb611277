"""Sizes and times of requests and responses through nginx: whole, or refused with the reason."""

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest
import requests

from loadbalancer.engine import exec
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.process import SPOOL_FOLDER
from tests.apps.containers import PATIENCE, wait_for
from tests.apps.proxy import Proxy, new_id, read_to_end, running
from tests.apps.stub import PIECE
from tests.apps.upstream import Upstream

MEGABYTE = 1 << 20


def test_a_slow_client_gets_all_of_a_large_response(proxy: Proxy) -> None:
    with proxy.get("/big/200", stream=True) as answer:
        assert answer.status_code == 200
        body = answer.iter_content(len(PIECE))
        assert next(body) == PIECE
        # Until nginx and the kernel hold all that they take in advance.
        wait_for(lambda: waits(proxy), "nginx to wait for the client")
        assert sum(map(len, body)) + len(PIECE) == 200 * MEGABYTE


def waits(proxy: Proxy) -> bool:
    """Tell whether data for a client waits in nginx's kernel, as much as before."""
    queued = [queue(proxy)]
    time.sleep(0.2)
    queued.append(queue(proxy))
    return queued[0] > 0 and queued[0] == queued[1]


def queue(proxy: Proxy) -> int:
    """Read how many bytes nginx has sent that clients have not taken."""
    code, table = exec.run(proxy.container, ["cat", "/proc/net/tcp"])
    assert code == 0
    rows = [line.split() for line in table.splitlines()[1:]]
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(":1F90"))


def test_large_uploads_at_once_arrive_whole(proxy: Proxy) -> None:
    body = PIECE * (15 * MEGABYTE // len(PIECE))

    def slowly() -> Iterator[bytes]:
        started.wait(PATIENCE)  # so that all of them are under way before any is complete
        yield body[: 8 * MEGABYTE]
        halfway.wait(PATIENCE)
        yield body[8 * MEGABYTE :]

    started, halfway = threading.Barrier(6), threading.Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: requests.post(proxy.url("/echo"), data=slowly(), timeout=PATIENCE),
                range(6),
            )
        )
    assert [one.status_code for one in answers] == [200] * 6
    assert {one.json()["sha256"] for one in answers} == {hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("path", ["/header/5000", "/header/7000", "/header/31000", "/cookies/20"])
def test_a_large_response_header_is_passed_on(proxy: Proxy, path: str) -> None:
    assert [proxy.get(path).text for _ in range(4)] == ["whole"] * 4


def test_a_large_request_header_is_passed_on(proxy: Proxy) -> None:
    fields = {f"x-large-{number}": "x" * 31000 for number in range(3)}
    assert proxy.echo(headers=fields).items() >= fields.items()


def test_what_exceeds_a_limit_is_refused_with_the_key_and_the_id(proxy: Proxy) -> None:
    id_ = new_id()
    own = {"X-Request-ID": id_}

    def refused(method: str, path: str, **arguments: object) -> tuple[int, str]:
        with requests.Session() as session:
            answer = session.request(method, proxy.url(path), timeout=PATIENCE, **arguments)  # type: ignore[arg-type]
        assert answer.headers["X-Request-ID"] in answer.text
        assert answer.headers["Content-Type"] == "text/plain"
        return answer.status_code, answer.text

    body = b"x" * MEGABYTE
    status, text = refused("POST", "/echo", data=body * 101, headers=own)
    assert (status, "http.maxBody allows 100MB" in text, id_ in text) == (413, True, True)
    status, text = refused("POST", "/echo", data=iter([body] * 101), headers=own)
    assert (status, "http.maxBody allows 100MB" in text) == (413, True)
    status, text = refused("GET", "/echo", headers={**own, "X-Large": "x" * 33000})
    assert (status, "http.headerSize allows 32KB" in text) == (431, True)
    status, text = refused("GET", f"/echo?{'x' * 33000}")
    assert (status, "http.headerSize allows 32KB" in text) == (414, True)
    status, text = refused("GET", "/header/33000", headers=own)
    assert (status, "http.headerSize allows 32KB" in text) == (502, True)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("TRACE / HTTP/1.1\r\nHost: a", 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip", 501),
        ("GET / HTTP/3.7\r\nHost: a", 505),
    ],
)
def test_what_nginx_does_not_speak_is_refused_with_the_id(
    proxy: Proxy, head: str, status: int
) -> None:
    with proxy.connect(f"{head}\r\nConnection: close\r\n\r\n".encode()) as connection:
        answer = read_to_end(connection).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    (id_,) = re.findall(r"^X-Request-ID: (\S+)\r$", answer, re.MULTILINE)
    assert f"Request id: {id_}" in answer
    assert proxy.wait_for_record(id_)["method"] == head.split(maxsplit=1)[0]


def test_a_request_that_is_not_answered_in_time_is_sent_once(proxy: Proxy) -> None:
    proxy.configure(http={"readTimeout": "500ms"})
    id_ = new_id()
    slow = proxy.get("/sleep/2", headers={"X-Request-ID": id_})
    assert slow.status_code == 504
    assert len(proxy.wait_for_record(id_)["upstream"].split(",")) == 1


def test_limits_are_those_of_the_configuration(proxy: Proxy) -> None:
    proxy.configure(http={"maxBody": "1MB", "headerSize": "64KB", "readTimeout": "500ms"})
    body = b"x" * MEGABYTE
    assert proxy.request("POST", "/echo", data=body).json()["length"] == MEGABYTE
    refused = requests.post(proxy.url("/echo"), data=body + b"x", timeout=PATIENCE)
    assert (refused.status_code, "http.maxBody allows 1MB" in refused.text) == (413, True)
    assert proxy.get("/header/64000").text == "whole"
    slow = proxy.get("/sleep/2")
    assert (slow.status_code, "http.readTimeout is 500ms" in slow.text) == (504, True)


@pytest.mark.parametrize("kind", ["chunked", "closed"])
def test_events_arrive_as_they_are_sent(proxy: Proxy, kind: str) -> None:
    id_ = new_id()
    with proxy.get(f"/stream/{kind}/{id_}", stream=True) as answer:
        events = answer.iter_content(None)
        # The app sends the second one only after this one has arrived.
        assert next(events) == b"data: first\n\n"
        proxy.upstream.release(id_)
        assert b"".join(events) == b"data: second\n\n"


def test_a_long_poll_waits_as_long_as_the_app(proxy: Proxy) -> None:
    id_ = new_id()
    with ThreadPoolExecutor(1) as pool:
        url, header = proxy.url(f"/wait/{id_}"), {"X-Request-ID": id_}
        answer = pool.submit(requests.get, url, headers=header, timeout=PATIENCE)
        wait_for(lambda: arrivals(proxy, id_) > 0, "the request to arrive")
        assert not answer.done()
        proxy.upstream.release(id_)
        assert answer.result().text == "waited"
    assert arrivals(proxy, id_) == 1


def arrivals(proxy: Proxy, id_: str) -> int:
    """Count how often a request has come to a server."""
    return sum(proxy.upstream.seen(app).count(id_) for app in proxy.upstream.apps)


def test_a_client_that_takes_nothing_for_the_send_timeout_is_given_up(proxy: Proxy) -> None:
    proxy.configure(http={"sendTimeout": "1s"})
    id_ = new_id()
    request = f"GET /big/50 HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id_}\r\n\r\n"
    with proxy.connect(request.encode()) as client:
        record = proxy.wait_for_record(id_)
        assert (record["status"], record["bytes"] < 50 * MEGABYTE) == (200, True)
        assert record["seconds"] >= 1
        # The client can tell that the response is not complete.
        with pytest.raises(ConnectionError):
            read_to_end(client)


@pytest.mark.faults
def test_an_old_worker_ends_even_if_a_stream_does_not(proxy: Proxy) -> None:
    """As it does after an hour, which is stated in nginx.conf."""
    proxy.configure(edits={b"worker_shutdown_timeout 1h;": b"worker_shutdown_timeout 1s;"})
    before = set(LiveFiles(proxy.container).workers())
    with proxy.get(f"/stream/chunked/{new_id()}", stream=True) as answer:
        events = answer.iter_content(None)
        assert next(events) == b"data: first\n\n"
        proxy.configure(edits={b"worker_shutdown_timeout 1h;": b"worker_shutdown_timeout 1s; "})
        with pytest.raises(requests.RequestException):
            next(events)
    wait_for(lambda: not before & workers(proxy), "old workers to end", proxy.errors)


def workers(proxy: Proxy) -> set[str]:
    """List all processes of nginx, those that are shutting down as well."""
    code, found = exec.run(proxy.container, ["sh", "-c", "ls -d /proc/[0-9]*"])
    assert code == 0
    return {path.removeprefix("/proc/") for path in found.split()}


@pytest.fixture
def small_spool(client: docker.DockerClient, nginx_image: str, stubs: Upstream) -> Iterator[Proxy]:
    """An nginx with room for 4 MiB of uploads."""
    # Docker gives a new volume the owner of the folder in the image, which a plain tmpfs has not.
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=4m"}
    volume = client.volumes.create(driver_opts=options, labels={"test": "apps"})
    try:
        with running(client, nginx_image, stubs, volumes={SPOOL_FOLDER: volume.name}) as one:
            yield one
    finally:
        volume.remove(force=True)


@pytest.mark.faults
def test_an_upload_that_finds_no_room_is_refused_and_the_next_one_is_not(
    small_spool: Proxy,
) -> None:
    proxy, id_ = small_spool, new_id()
    for body in (b"x" * (8 * MEGABYTE), iter([b"x" * MEGABYTE] * 8)):
        answer = requests.post(
            proxy.url("/echo"), data=body, headers={"X-Request-ID": id_}, timeout=PATIENCE
        )
        assert (answer.status_code, id_ in answer.text) == (507, True)
    body = PIECE * (2 * MEGABYTE // len(PIECE))
    answers = []

    def stored() -> bool:
        answers.append(requests.post(proxy.url("/echo"), data=body, timeout=PATIENCE))
        return answers[-1].status_code == 200

    # nginx frees the room of a request when its connection has ended.
    wait_for(stored, "room for another body", proxy.errors)
    assert answers[-1].json()["sha256"] == hashlib.sha256(body).hexdigest()
    assert f'"{SPOOL_FOLDER}/' in proxy.errors()
    assert "No space left on device" in proxy.errors()
    assert proxy.wait_for_record(id_)["status"] == 507


@pytest.mark.faults
def test_slow_bodies_are_given_up_and_others_served_meanwhile(proxy: Proxy) -> None:
    proxy.configure(http={"readTimeout": "1s"})
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"
    with proxy.connect(request) as connection:
        assert proxy.get("/name").status_code == 200
        with pytest.raises(ConnectionResetError):
            read_to_end(connection)
