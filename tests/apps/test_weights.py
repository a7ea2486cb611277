"""Weights that change while nginx runs: exact at once, without a reload."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from loadbalancer.config.host_ports import LISTENING_PORT
from loadbalancer.engine import exec
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from tests.apps.conformance.wire import Wire
from tests.apps.containers import PATIENCE, wait_for
from tests.apps.proxy import Proxy, new_id

CHANGES = 4
STREAMS = 8


@pytest.fixture
def weighted(proxy: Proxy) -> Iterator[Proxy]:
    """The nginx of `proxy`, whose route the test may change."""
    before = LiveRoute(proxy.container).text()
    yield proxy
    LiveRoute(proxy.container).apply(before)
    proxy.session.close()


def text(proxy: Proxy, app1: int, app2: int) -> str:
    """Write the route of both apps."""
    return proxy.upstream.route({"app1": app1, "app2": app2})


def processes(proxy: Proxy) -> list[str]:
    """List the worker processes of nginx, those that finish requests as well."""
    # The pattern does not find itself.
    command = ["sh", "-c", "grep -a -l '[n]ginx: worker' /proc/[0-9]*/cmdline 2>/dev/null"]
    return exec.run(proxy.container, command)[1].split()


def status(proxy: Proxy) -> dict[str, object]:
    """Read the weights and the version of the route that nginx reports."""
    found = proxy.status()
    weights = {app["name"]: app["weight"] for app in found["apps"]}
    return {**weights, "version": found["route"]["version"]}


def test_streams_over_changes_of_weights_keep_the_same_two_workers(weighted: Proxy) -> None:
    """Case N16: a reload for each change left a worker behind for each open stream."""
    route = LiveRoute(weighted.container)
    route.apply(text(weighted, 1, 1))
    wait_for(lambda: len(processes(weighted)) == 2, "workers of before to end")
    before, id_ = processes(weighted), new_id()
    with ExitStack() as cleanup:
        streams = [
            cleanup.enter_context(
                requests.get(weighted.url(f"/stream/chunked/{id_}"), stream=True, timeout=PATIENCE)
            )
            for _ in range(STREAMS)
        ]
        for number in range(1, CHANGES + 1):
            new = text(weighted, number, 10 - number)
            route.apply(new)
            assert weighted.shares(10) == {"app1": number, "app2": 10 - number}
            assert route.in_force() == new
        assert processes(weighted) == before
        weighted.upstream.release(id_)
        assert {stream.text for stream in streams} == {"data: first\n\ndata: second\n\n"}
    assert status(weighted) | {"version": ""} == {"app1": 4, "app2": 6, "version": ""}


def test_a_websocket_stays_open_over_changes_of_weights_and_a_reload(weighted: Proxy) -> None:
    id_ = new_id()
    request = (
        "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"X-Request-ID: {id_}\r\n\r\n"
    )
    with Wire((weighted.address, LISTENING_PORT)) as client:

        def echoed(data: bytes) -> bytes:
            client.send(data)
            return client.exactly(len(data))

        client.send(request.encode())
        assert client.head().status == 101
        assert echoed(b"one") == b"one"
        LiveRoute(weighted.container).apply(text(weighted, 3, 7))
        assert echoed(b"two") == b"two"
        weighted.configure(http={"maxBody": "7MB"})
        assert echoed(b"three" * 20_000) == b"three" * 20_000
    assert weighted.wait_for_record(id_)["status"] == 101


def test_later_weights_stay_when_nginx_reloads_or_starts_again(weighted: Proxy) -> None:
    route = LiveRoute(weighted.container)
    route.apply(text(weighted, 1, 1))
    route.apply(text(weighted, 3, 7))
    version = status(weighted)["version"]
    for act in ("reload", "restart"):
        if act == "reload":
            weighted.configure(http={"maxBody": "7MB"})
        else:
            weighted.restart()
        weighted.wait_until_answering("app1")
        weighted.wait_until_answering("app2")
        assert route.in_force() == text(weighted, 3, 7), act
        assert status(weighted) == {"app1": 3, "app2": 7, "version": version}, act
        assert weighted.shares(100) == {"app1": 30, "app2": 70}, act


def test_a_server_without_a_share_gets_one_by_a_reload(weighted: Proxy) -> None:
    route = LiveRoute(weighted.container)
    for app1, app2 in ((1, 0), (4, 1), (0, 3), (2, 3)):
        before = set(LiveFiles(weighted.container).workers())
        route.apply(text(weighted, app1, app2))
        assert not before & set(LiveFiles(weighted.container).workers())
        weighted.session.close()  # whose connection an old worker serves for some time more
        total = app1 + app2
        assert weighted.shares(5 * total) == +Counter(app1=5 * app1, app2=5 * app2)


def test_weights_that_nginx_has_not_loaded_are_not_in_force(weighted: Proxy) -> None:
    """As a process leaves them that was killed between writing and telling nginx."""
    route = LiveRoute(weighted.container)
    route.apply(text(weighted, 1, 1))
    route.apply(text(weighted, 1, 4))
    generation = exec.read_folder(weighted.container, "/etc/nginx/route")["generation.conf"]
    killed = re.sub(rb"default \w+;", b"default killed;", generation)
    exec.write_folder(weighted.container, "/etc/nginx/route", {"generation.conf": killed})
    assert route.in_force() == ""
    before = set(route.workers())
    route.apply(text(weighted, 1, 9))
    assert not before & set(route.workers())
    assert route.in_force() == text(weighted, 1, 9)
    assert weighted.shares(10) == {"app1": 1, "app2": 9}


def test_weights_of_other_servers_are_refused(weighted: Proxy) -> None:
    url = "http://127.0.0.1:8081/weights?generation=x"
    table = exec.read_folder(weighted.container, "/etc/nginx/route")["route.json"]
    other = re.sub(rb'"servers": \["[^"]+"', b'"servers": ["other:5001"', table)
    assert other != table
    exec.write_folder(weighted.container, "/etc/nginx/route", {"route.json": other})
    try:
        command = ["curl", "--silent", "--request", "POST", url]
        assert exec.run(weighted.container, command) == (0, "the route has other servers\n")
    finally:
        exec.write_folder(weighted.container, "/etc/nginx/route", {"route.json": table})
