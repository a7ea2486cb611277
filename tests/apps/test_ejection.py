"""Which server gets a request, and which is ejected: real nginx, stub servers, no Pulumi."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import docker
import pytest
import requests
from docker.models.containers import Container

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_route import LiveRoute
from tests.apps import proxy
from tests.apps.containers import PATIENCE
from tests.apps.proxy import Proxy, port_of, wait_until_listening
from tests.stack.load import wrk

SHARES = {"app1": 6, "app2": 4}
WAITED = 0.35
"""Seconds: nearly as long as a request waits for the addresses of the servers (rotation.js)."""
FLAGS = "/tmp"  # noqa: S108 - the container's own


@pytest.fixture(scope="module")
def module_proxy(
    client: docker.DockerClient, nginx_image: str, python_image: str
) -> Iterator[Proxy]:
    """Two apps, one of them with three servers, and a third that gets nothing."""
    apps = {"app1": 1, "app2": 1, "app3": 3}
    with proxy.running(client, nginx_image, python_image, apps) as found:
        yield found


@pytest.fixture
def two(module_proxy: Proxy) -> Proxy:
    """Two apps with shares of 60 and 40 %, both up."""
    module_proxy.route(SHARES)
    return module_proxy


@contextmanager
def file_in(found: Proxy, app: str, name: str) -> Iterator[None]:
    """Have a file in /tmp of an app's first server while the block runs."""
    (server, *_) = found.apps[app]
    assert exec.run(server, ["touch", f"{FLAGS}/{name}"])[0] == 0
    try:
        yield
    finally:
        exec.run(server, ["rm", f"{FLAGS}/{name}"])


@contextmanager
def paused(server: Container) -> Iterator[None]:
    """Freeze a server: it accepts connections, and never answers."""
    server.pause()
    try:
        yield
    finally:
        server.unpause()


@contextmanager
def stopped(found: Proxy, app: str) -> Iterator[None]:
    """Kill an app's first server; start it again at the end."""
    (server, *_) = found.apps[app]
    server.kill()
    try:
        yield
    finally:
        server.start()
        wait_until_listening(server, port_of(app))
        found.wait_until_up()
        found.wait_until_answering(app)


def test_shares_are_exact_in_every_window(two: Proxy) -> None:
    served = [body.split("-")[0] for body in two.answers(60)]
    for start in range(55):
        assert Counter(served[start : start + 5]) == {"app1": 3, "app2": 2}


def test_servers_of_an_app_share_its_weight_evenly(module_proxy: Proxy) -> None:
    module_proxy.route({"app1": 5, "app3": 3})
    served = module_proxy.answers(24)
    for start in range(16):
        expected = {"app1-1": 5, "app3-1": 1, "app3-2": 1, "app3-3": 1}
        assert Counter(served[start : start + 8]) == expected


@pytest.mark.faults
def test_the_rotation_goes_on_over_reloads_and_connections(two: Proxy) -> None:
    served = []
    for _ in range(3):
        served += [two.get().text.split("-")[0] for _ in range(5)]
        LiveRoute(two.container).apply(LiveRoute(two.container).text())
    for start in range(10):
        assert Counter(served[start : start + 5]) == {"app1": 3, "app2": 2}


@pytest.mark.parametrize(("size", "status"), [(7_000, 200), (40_000, 502)])
def test_a_large_header_ejects_nobody(two: Proxy, size: int, status: int) -> None:
    assert [two.get(f"/header/{size}").status_code for _ in range(4)] == [status] * 4
    assert two.ejected() == {}
    assert two.shares(10) == SHARES


def test_an_error_of_an_app_ejects_nobody(two: Proxy) -> None:
    assert [two.get(f"/status/{code}").status_code for code in (500, 502, 503, 504)] == [
        500,
        502,
        503,
        504,
    ]
    assert two.ejected() == {}
    assert two.shares(10) == SHARES


def test_a_slow_endpoint_ejects_nobody(two: Proxy) -> None:
    with two.configured({"proxy_read_timeout 60000ms;": "proxy_read_timeout 1s;"}):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(two.get, ["/slow/3"] * 8))
        assert [answer.status_code for answer in answers] == [504] * 8
        assert two.ejected() == {}
        assert two.shares(50) == {"app1": 30, "app2": 20}


@pytest.mark.faults
def test_a_busy_server_is_not_sick(two: Proxy) -> None:
    with file_in(two, "app1", "busy"):

        def look() -> object:
            assert two.ejected() == {}
            number = int(two.direct("app1", "/slow-checks"))
            return None if number >= 3 else f"{number} slow checks"

        Wait(PATIENCE, 0.2).until("three slow checks", look)
    assert two.ejected() == {}


def test_after_one_failure_the_share_is_back_at_once(module_proxy: Proxy) -> None:
    found = module_proxy
    found.route({"app1": 61, "app2": 39})
    # Asked of app1, it closes the connection; the other app answers.
    assert {found.get("/reset/1-1").status_code for _ in range(2)} == {200}
    found.wait_until_up()
    assert found.shares(100) == {"app1": 61, "app2": 39}


@pytest.mark.faults
def test_a_server_that_nobody_reaches_gets_nothing_until_it_is_back(two: Proxy) -> None:
    (name,) = two.names("app1")
    with stopped(two, "app1"):
        two.wait_until_ejected({name: "connect_failed"})
        before = two.reading()
        assert two.shares(20) == {"app2": 20}
        after = two.reading()
        assert after.apps["app1"].attempts == before.apps["app1"].attempts
        assert two.servers()[name] == ("down", "connect_failed")
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_a_server_that_fails_its_checks_is_ejected_until_one_succeeds(two: Proxy) -> None:
    (name,) = two.names("app1")
    with file_in(two, "app1", "sick"):
        two.wait_until_ejected({name: "check"})
        assert two.shares(20) == {"app2": 20}
        # If all fail their checks, all are tried.
        with file_in(two, "app2", "sick"):

            def look() -> object:
                found = two.servers()
                return None if set(found.values()) == {("down", "")} else found

            Wait(PATIENCE, 0.1).until("both to be down", look)
            assert two.shares(20) == {"app1": 12, "app2": 8}
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_a_paused_server_is_ejected_and_its_requests_are_passed_on(two: Proxy) -> None:
    (name,) = two.names("app1")
    (app1,) = two.apps["app1"]
    times = {
        "proxy_read_timeout 5s;": "proxy_read_timeout 1s;",  # of a check
        "proxy_read_timeout 60000ms;": "proxy_read_timeout 8s;",
    }
    with two.configured(times), paused(app1), ThreadPoolExecutor(5) as pool:
        held = [pool.submit(two.get) for _ in range(5)]
        two.wait_until_ejected({name: "check"})
        assert two.shares(20) == {"app2": 20}
        assert [one.result().status_code for one in held] == [200] * 5
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_the_only_server_is_never_ejected(module_proxy: Proxy) -> None:
    found = module_proxy
    found.route({"app1": 1})
    assert found.get("/reset/1-1").status_code == 503
    assert found.ejected() == {}
    assert found.shares(5) == {"app1": 5}
    with file_in(found, "app1", "sick"):

        def look() -> object:
            assert found.ejected() == {}
            states = set(found.servers().values())
            return None if states == {("down", "")} else states

        Wait(PATIENCE, 0.1).until("it to fail its check", look)
        assert found.shares(5) == {"app1": 5}
    with stopped(found, "app1"):
        assert found.get().status_code == 503
    assert found.shares(5) == {"app1": 5}


@pytest.mark.faults
def test_a_post_that_was_sent_is_never_repeated(two: Proxy) -> None:
    for number in range(4):
        headers = {"X-Request-ID": f"sent-{number}"}
        requests.post(f"{two.url}/reset/1-1", data="a", headers=headers, timeout=PATIENCE)
        two.wait_until_up()
    seen = Counter(two.seen("app1") + two.seen("app2"))
    assert {seen[f"sent-{number}"] for number in range(4)} == {1}


@pytest.mark.faults
def test_a_post_that_nobody_took_is_passed_on(two: Proxy) -> None:
    with stopped(two, "app1"), ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(requests.post, two.url, data="name=value", timeout=PATIENCE)
            for _ in range(40)
        ]
        assert Counter(one.result().status_code for one in sent) == {200: 40}


@pytest.mark.faults
def test_a_request_that_is_passed_on_again_is_counted_once(two: Proxy) -> None:
    before = two.reading()

    def look() -> object:
        apps = two.reading().apps
        number = sum(
            sum(apps[app].requests.values()) - sum(before.apps[app].requests.values())
            for app in SHARES
        )
        return None if number == 40 else number

    with stopped(two, "app1"):
        answers = Counter(two.get().status_code for _ in range(40))
        assert answers == {200: 40}
        Wait(PATIENCE, 0.1).until("40 requests to be counted", look)
        after = two.reading()
    assert after.unrouted == before.unrouted
    for app in SHARES:
        now, then = after.apps[app], before.apps[app]
        assert now.attempts["answered"] - then.attempts["answered"] == sum(
            now.requests.values()
        ) - sum(then.requests.values())


@pytest.mark.faults
def test_an_app_that_accepts_only_its_own_host_names_is_checked(
    client: docker.DockerClient, nginx_image: str, python_image: str
) -> None:
    apps = {"app1": 1, "app2": 1}
    hosts = "localhost 127.0.0.1"
    with proxy.running(client, nginx_image, python_image, apps, HOSTS=hosts) as found:
        assert found.get(headers={"Host": "localhost"}).status_code == 200
        assert set(found.servers().values()) == {("up", "")}


@pytest.mark.faults
def test_six_restarts_under_load_lose_no_request(two: Proxy) -> None:
    (app1,) = two.apps["app1"]
    with wrk(two.url, method="GET", rate=400) as load:
        for _ in range(6):
            app1.restart(timeout=1)
            wait_until_listening(app1, port_of("app1"))
    assert load.failures == []
    assert load.requests > 100, "too few to prove anything"
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.parametrize(
    "time_", [0, *(pytest.param(time_, marks=pytest.mark.faults) for time_ in (1, 2))]
)
def test_a_killed_server_under_load_loses_no_request(two: Proxy, time_: int) -> None:
    with (
        wrk(two.url, method="GET", rate=400) as load,
        wrk(two.url, method="GET", keep_alive=False) as short,
        stopped(two, "app1"),
    ):
        two.wait_until_ejected(dict.fromkeys(two.names("app1"), "connect_failed"))
    assert load.failures == short.failures == []
    assert load.requests > 100, "too few to prove anything"
    # A connection to the dead server may have timed out after the new one was readmitted.
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_requests_go_on_while_the_route_changes(two: Proxy) -> None:
    weights = [{"app1": n, "app2": 10 - n} for n in (1, 9, 0, 5)]
    with wrk(two.url, method="GET") as get, wrk(two.url, method="POST", body="a") as post:
        for before, after in pairwise(weights):
            assert before != after
            two.route(after)
    assert get.failures == post.failures == []


def test_an_nginx_that_has_just_started_answers_nothing_but_what_servers_answer(two: Proxy) -> None:
    for _ in range(3):
        answers: list[tuple[int, str]] = []

        two.container.restart(timeout=0)
        url = two.url

        def look(url: str = url, answers: list[tuple[int, str]] = answers) -> object:
            answer = requests.get(url, timeout=PATIENCE)
            answers.append((answer.status_code, answer.text))
            return None if len(answers) > 20 else "too few answers"

        refused = (requests.ConnectionError,)
        Wait(PATIENCE, 0.001, forgives=refused).until("nginx to answer", look)
        assert {status for status, _ in answers} == {200}, answers


def test_without_any_address_a_request_waits_a_moment_and_gets_503(two: Proxy) -> None:
    servers = [(one, port_of(app)) for app, found in two.apps.items() for one in found]
    try:
        for one, _ in servers:
            one.kill()

        def look() -> object:
            answer = two.get()
            assert answer.status_code == 503, answer.text
            return None if answer.elapsed.total_seconds() > WAITED else "it was answered at once"

        # Docker's name server no longer has the names, as nginx sees at its next look.
        Wait(PATIENCE, 0.1).until("a request to wait", look)
    finally:
        for one, port in servers:
            one.start()
            wait_until_listening(one, port)
        two.wait_until_up()
    for app in SHARES:
        two.wait_until_answering(app)
