"""Weights that change while nginx runs: exact at once, without a reload."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from loadbalancer.engine import exec
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.upstream import Server, render
from tests.apps import proxies
from tests.apps.containers import PATIENCE, address_of, wait_for
from tests.apps.proxies import PORTS, Proxy

CHANGES = 4
STREAMS = 8


@pytest.fixture
def weighted(proxy: Proxy) -> Iterator[Proxy]:
    """The nginx of `proxy`, whose route the test may change."""
    yield proxy
    proxy.route(proxy.stubs)


def text(proxy: Proxy, app1: int, app2: int) -> str:
    """Write the route of both apps; the network of the bridge has no name server."""
    weights = {"app1": app1, "app2": app2}
    servers = [Server(app, host, PORTS[app], weights[app]) for app, host in proxy.stubs.items()]
    return render(servers, weights).replace(" resolve;", ";")


def shares(proxy: Proxy, count: int) -> Counter[str]:
    return Counter(proxy.get("/name").text for _ in range(count))


def processes(proxy: Proxy) -> list[str]:
    """List the worker processes of nginx, those that finish requests as well."""
    # The pattern does not find itself.
    command = ["sh", "-c", "grep -a -l '[n]ginx: worker' /proc/[0-9]*/cmdline 2>/dev/null"]
    return exec.run(proxy.container, command)[1].split()


def restart(proxy: Proxy) -> None:
    """Restart nginx's container, and wait until it serves."""
    proxy.session.close()
    proxy.container.restart()
    proxy.address = address_of(proxy.container)
    command = ["curl", "--silent", "--fail", "http://127.0.0.1:8081/healthz"]
    wait_for(lambda: exec.run(proxy.container, command)[0] == 0, "nginx", proxy.errors)


def status(proxy: Proxy) -> dict[str, object]:
    """Read the weights and the version of the route that nginx reports."""
    found = requests.get(proxy.url("/status.json", 9113), timeout=PATIENCE).json()
    weights = {app["name"]: app["weight"] for app in found["apps"]}
    return {**weights, "version": found["route"]["version"]}


def test_streams_over_changes_of_weights_keep_the_same_two_workers(weighted: Proxy) -> None:
    """Case N16: a reload for each change left a worker behind for each open stream."""
    route = LiveRoute(weighted.container)
    route.apply(text(weighted, 1, 1))
    wait_for(lambda: len(processes(weighted)) == 2, "workers of before to end")
    before, id_ = processes(weighted), proxies.new_id()
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
            assert shares(weighted, 10) == {"app1": number, "app2": 10 - number}
            assert route.in_force() == new
        assert processes(weighted) == before
        weighted.release(id_)
        assert {stream.text for stream in streams} == {"data: first\n\ndata: second\n\n"}
    assert status(weighted) | {"version": ""} == {"app1": 4, "app2": 6, "version": ""}


def test_later_weights_stay_when_nginx_reloads_or_starts_again(weighted: Proxy) -> None:
    route = LiveRoute(weighted.container)
    route.apply(text(weighted, 1, 1))
    route.apply(text(weighted, 3, 7))
    version = status(weighted)["version"]
    for act in ("reload", "restart"):
        if act == "reload":
            weighted.configure(http={"maxBody": "7MB"})
        else:
            restart(weighted)
        weighted.wait_until_answered()
        assert route.in_force() == text(weighted, 3, 7), act
        assert status(weighted) == {"app1": 3, "app2": 7, "version": version}, act
        assert shares(weighted, 100) == {"app1": 30, "app2": 70}, act


def test_a_server_without_a_share_gets_one_by_a_reload(weighted: Proxy) -> None:
    route = LiveRoute(weighted.container)
    for app1, app2 in ((1, 0), (4, 1), (0, 3), (2, 3)):
        before = set(LiveFiles(weighted.container).workers())
        route.apply(text(weighted, app1, app2))
        assert not before & set(LiveFiles(weighted.container).workers())
        weighted.session.close()  # whose connection an old worker serves for some time more
        total = app1 + app2
        assert shares(weighted, 5 * total) == +Counter(app1=5 * app1, app2=5 * app2)


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
    assert shares(weighted, 10) == {"app1": 1, "app2": 9}


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
