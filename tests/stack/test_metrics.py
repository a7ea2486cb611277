"""nginx's counters: exact to the last request, charged to whom they belong, for the host alone."""

import socket
import time
from collections import Counter
from math import inf
from urllib.parse import urlsplit

import pytest
import requests

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.metrics import window
from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import Window
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.upstream import reweighted
from tests.stack.counters import read, settled
from tests.stack.deployment import Deployment
from tests.stack.editing import change as edit
from tests.stack.failing import wait_until_shared
from tests.stack.load import counted

PAGES = """

@app.get("/status/<int:code>")
def status(code: int) -> tuple[str, int]:
    return "{app}", code


@app.get("/sleep")
def sleep() -> str:
    time.sleep(0.3)
    return "slept"


@app.get("/die")
def die() -> None:
    os._exit(3)


import os
import time

time.sleep({start})
"""


@pytest.fixture
def metered(changing_stack: Deployment) -> Deployment:
    """A stack whose apps fail on demand; app1 is slow to start, so that it is met before it is."""
    stack = changing_stack
    edit(stack, "app1", PAGES.format(app="app1", start=4))
    edit(stack, "app2", PAGES.format(app="app2", start=0).replace("/die", "/live"))
    if stack.applied != stack.source():
        stack.up()
    return stack


def seen(stack: Deployment, before: Reading, requests_sent: int) -> Window:
    """What was counted since then, which must be as much as was sent."""
    found = window.since(before, settled(stack))
    assert found.requests + sum(found.unrouted.values()) == requests_sent
    return found


def raw(url: str, text: bytes) -> bytes:
    """Send bytes as they are, and return what comes until the connection is closed."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.faults
def test_every_request_is_counted_over_four_changes_of_the_route(metered: Deployment) -> None:
    stack, before = metered, settled(metered)
    assert {app: one.share for app, one in before.apps.items()} == {"app1": 0.6, "app2": 0.4}
    paths = ("/status/200", "/status/404", "/status/500", "/status/200?wanted=%22app%22")
    own: Counter[tuple[str, int]] = Counter()

    def send() -> None:
        with requests.Session() as session:
            for number in range(500):
                answer = session.get(stack.url + paths[number % 4], timeout=60)
                own[answer.text, answer.status_code] += 1

    route = LiveRoute(stack.nginx())
    text = route.text()

    def change(**weights: int) -> None:
        new = reweighted(text, weights)
        assert new
        route.apply(new)

    with counted(stack.url, paths, requests=2000, threads=4) as load:
        change(app1=7, app2=1)
        changed = read(stack)
        send()
        for weight in (9, 3):
            change(app1=weight, app2=1)
            send()
        route.apply(text)
        send()
    sent = own + load.answers
    assert sent.total() == 10_000
    found = seen(stack, before, 10_000)
    counts = {
        (app, code): number
        for app, one in found.apps.items()
        for code, number in one.by_code.items()
        if number
    }
    assert counts == dict(sent)
    assert not found.reset
    for app in found.apps.values():
        assert app.attempts["answered"] == app.requests
        assert app.request_duration.count == app.upstream_duration.count == app.requests
        assert app.header_duration.count == app.requests
        assert app.sent > 100 * app.requests

    # The configured shares follow the route.
    assert {app: one.weight for app, one in changed.apps.items()} == {"app1": 7, "app2": 1}
    assert {app: one.share for app, one in changed.apps.items()} == {"app1": 0.875, "app2": 0.125}
    assert changed.version != before.version
    assert before.changed < changed.changed <= time.time()
    assert read(stack).version == before.version


def test_a_duration_is_in_its_bucket(metered: Deployment) -> None:
    before = settled(metered)
    requests.get(f"{metered.url}/sleep", timeout=60)
    found = seen(metered, before, 1)
    (app,) = [app for app in found.apps.values() if app.requests]
    for histogram in (app.request_duration, app.upstream_duration, app.header_duration):
        took = round(histogram.sum, 3)
        assert 0.29 <= took < 61  # its clock goes in ticks; the answer came within a minute
        bucket = histogram.counts.index(1)
        low, high = (0, *histogram.bounds, inf)[bucket : bucket + 2]
        assert low < took <= high
    assert app.p50 == app.request_duration.quantile(0.5)


def test_failed_attempts_are_charged_to_the_app_that_failed(metered: Deployment) -> None:
    stack = metered
    stack.shares(10)
    before, sent = settled(stack), 0

    def die() -> Window:
        # It ends in the middle of the request, which is asked again of the other: who does not
        # know this page and lives.
        nonlocal sent
        assert requests.get(f"{stack.url}/die", timeout=60).status_code == 404
        sent += 1
        return seen(stack, before, sent)

    while not (found := die()).apps["app1"].attempts["error"]:
        assert sent <= 10
    assert found.apps["app1"].attempts["error"] == 1
    assert found.apps["app1"].requests == 0
    assert found.apps["app2"].by_code[404] == found.apps["app2"].attempts["answered"] == sent

    # Until it listens again it is ejected, so that no other request meets it.
    assert {requests.get(f"{stack.url}/status/200", timeout=60).text for _ in range(5)} == {"app2"}
    sent += 5
    assert seen(stack, before, sent).apps["app1"].attempts == found.apps["app1"].attempts
    assert window.since(before, read(stack)).apps["app1"].errors == 0

    def ready() -> object:
        found = read(stack).apps["app1"]
        return None if found.servers_up == 1 and not found.ejected else found

    Wait(120, 0.1).until("app1 to be up again", ready)
    wait_until_shared(stack)


def test_what_reaches_no_app_is_counted_apart(metered: Deployment) -> None:
    before = settled(metered)
    assert b" 400 " in raw(metered.url, b"NONSENSE\r\n\r\n")
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\nConnection: close\r\n\r\n"
    assert b" 413 " in raw(metered.url, head)
    found = seen(metered, before, 2)
    assert found.unrouted[400] == found.unrouted[413] == 1
    assert found.requests == 0


def test_ready_is_who_can_answer(metered: Deployment) -> None:
    admin = metered.output("adminUrl")
    before = settled(metered)
    apps = [c for name, c in metered.containers().items() if "-nginx-" not in name]

    def becomes(code: int, text: str) -> None:
        def look() -> object:
            answer = requests.get(f"{admin}/readyz", timeout=60)
            found = (answer.status_code, answer.text)
            return None if found == (code, text) else found

        Wait(60, 0.1).until(f"readiness to be {code}", look)

    assert requests.get(f"{admin}/healthz", timeout=60).text == "ok\n"
    becomes(200, "ready\n")
    for app in apps:
        app.pause()
    try:
        becomes(503, "no app can answer\n")
        assert {one.servers_up for one in read(metered).apps.values()} == {0}
        assert requests.get(f"{admin}/healthz", timeout=60).status_code == 200
    finally:
        for app in apps:
            app.unpause()
    becomes(200, "ready\n")
    # Probes are no requests.
    assert seen(metered, before, 0).requests == 0


HOSTILE = (
    b'GET /"}{app="evil",code="1"}%0a%00<script> HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    b'GET / HTTP/1.1\r\nHost: "}\r\nX-Request-ID: a b"} 1\r\nUser-Agent: \x01\xff\r\n'
    b"Connection: close\r\n\r\n",
    b"EVIL /status/200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /status/999 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET http://127.0.0.1:9113/metrics HTTP/1.1\r\nHost: 127.0.0.1:9113\r\n"
    b"Connection: close\r\n\r\n",
)


def test_nobody_writes_a_label(metered: Deployment) -> None:
    admin = metered.output("adminUrl")
    for text in HOSTILE:
        answer = raw(metered.url, text)
        assert b"loadbalancer_" not in answer
        raw(admin, text)
        raw(admin, text.replace(b"/ ", b"/../metrics "))
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "EVIL"):
        for path in ("/metrics", "/status.json", "/", "/healthz"):
            assert requests.request(method, admin + path, timeout=60).status_code == 405
    assert requests.get(f"{admin}/stub_status", timeout=60).status_code == 404
    found = settled(metered)
    assert sorted(found.apps) == ["app1", "app2"]
    assert all(100 <= code <= 999 for one in found.apps.values() for code in one.requests)
    shown = requests.get(f"{admin}/status.json", timeout=60).json()
    assert [app["name"] for app in shown["apps"]] == ["app1", "app2"]
    assert requests.head(f"{admin}/metrics", timeout=60).status_code == 200


def test_only_the_host_reaches_the_admin_port(metered: Deployment) -> None:
    names = metered.output("containers")
    app, nginx = metered.containers()[names["apps"]["app1"][0]], names["nginx"]
    program = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read())"

    def ask(url: str) -> tuple[int, str]:
        return exec.run(app, ["python", "-c", program, url])

    assert ask(f"http://{nginx}:8080/")[0] == 0  # it can reach nginx as such
    for path in ("/metrics", "/status.json", "/", "/healthz"):
        code, output = ask(f"http://{nginx}:9113{path}")
        assert code, output
        assert "loadbalancer_" not in output
    (network,) = app.attrs["NetworkSettings"]["Networks"].values()
    port = urlsplit(metered.output("adminUrl")).port
    assert ask(f"http://{network['Gateway']}:{port}/metrics")[0]
    for path in ("/metrics", "/status.json", "/readyz"):
        assert requests.get(metered.url + path, timeout=60).status_code == 404


def test_status_json_says_what_metrics_say(metered: Deployment) -> None:
    url, shown = f"{metered.output('adminUrl')}/status.json", requests.Response()

    def look() -> object:
        nonlocal shown
        shown = requests.get(url, timeout=60)
        servers = [server for app in shown.json()["apps"] for server in app["servers"]]
        return None if all(server["state"] == "up" for server in servers) else servers

    found = settled(metered)
    Wait(60, 0.1).until("every server to be up", look)
    assert shown.headers["Content-Type"] == "application/json"
    assert shown.headers["Cache-Control"] == "no-store"
    told = shown.json()
    assert told["route"] == {"version": found.version, "changed": found.changed}
    for app in told["apps"]:
        same = found.apps[app["name"]]
        assert {int(code): n for code, n in app["requests"].items()} == same.requests
        assert app["attempts"] == same.attempts
        assert tuple(app["request_duration"]["counts"]) == same.request_duration.counts
        assert tuple(told["bounds"]) == same.request_duration.bounds
        assert len(app["servers"]) == same.servers_up + same.servers_down
    nginx = metered.nginx()
    assert nginx.image is not None
    assert told["build"]["version"] == str(nginx.image.id).removeprefix("sha256:")[:12]
    assert told["connections"]["handled"] >= told["connections"]["active"] >= 1
