"""Which server gets a request, and which is ejected: real nginx, stub servers, no Pulumi."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import docker
import pytest
import requests

from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_route import LiveRoute
from tests.apps import upstream
from tests.apps.containers import PATIENCE, address_of
from tests.apps.proxy import Proxy, new_id, running
from tests.apps.upstream import flag, paused, wait_until_reachable
from tests.stack.load import wrk

SHARES = {"app1": 6, "app2": 4}
WAITS = 4
"""How often a request waits for the addresses of the servers (rotation.js)."""


@pytest.fixture(scope="module")
def module_proxy(
    client: docker.DockerClient, nginx_image: str, python_image: str
) -> Iterator[Proxy]:
    """The nginx of `three`: three apps, the last one with three servers."""
    apps = {"app1": 1, "app2": 1, "app3": 3}
    with (
        upstream.stubs(client, python_image, apps) as servers,
        running(client, nginx_image, servers) as found,
    ):
        yield found


@pytest.fixture
def three(module_proxy: Proxy) -> Proxy:
    """The three apps behind nginx with the default settings; the test gives them their shares."""
    module_proxy.configure()
    return module_proxy


@pytest.fixture
def two(three: Proxy) -> Proxy:
    """Two apps with shares of 60 and 40 %, both up."""
    three.route(SHARES)
    return three


@contextmanager
def stopped(found: Proxy, app: str) -> Iterator[None]:
    """Kill an app's first server; start it again at the end."""
    server = found.upstream.first(app)
    server.container.kill()
    try:
        yield
    finally:
        server.container.start()
        wait_until_reachable(server)
        found.wait_until_up()
        found.wait_until_answering(app)


def test_shares_are_exact_in_every_window(two: Proxy) -> None:
    served = [body.split("-")[0] for body in two.answers(60)]
    for start in range(55):
        assert Counter(served[start : start + 5]) == {"app1": 3, "app2": 2}


def test_servers_of_an_app_share_its_weight_evenly(three: Proxy) -> None:
    three.route({"app1": 5, "app3": 3})
    served = three.answers(24)
    for start in range(16):
        expected = {"app1-1": 5, "app3-1": 1, "app3-2": 1, "app3-3": 1}
        assert Counter(served[start : start + 8]) == expected


@pytest.mark.faults
def test_the_rotation_goes_on_over_reloads_and_connections(two: Proxy) -> None:
    served = []
    for _ in range(3):
        served += [two.ask().text.split("-")[0] for _ in range(5)]
        LiveRoute(two.container).apply(LiveRoute(two.container).text())
    for start in range(10):
        assert Counter(served[start : start + 5]) == {"app1": 3, "app2": 2}


@pytest.mark.parametrize(("size", "status"), [(7_000, 200), (40_000, 502)])
def test_a_large_header_ejects_nobody(two: Proxy, size: int, status: int) -> None:
    assert [two.ask(f"/cookie/{size}").status_code for _ in range(4)] == [status] * 4
    assert two.ejected() == {}
    assert two.shares(10) == SHARES


def test_an_error_of_an_app_ejects_nobody(two: Proxy) -> None:
    codes = [500, 502, 503, 504]
    assert [two.ask(f"/status/{code}").status_code for code in codes] == codes
    assert two.ejected() == {}
    assert two.shares(10) == SHARES


def test_a_slow_endpoint_ejects_nobody(two: Proxy) -> None:
    two.configure(http={"readTimeout": "1s"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(two.ask, ["/sleep/3"] * 8))
    assert [answer.status_code for answer in answers] == [504] * 8
    assert two.ejected() == {}
    assert two.shares(50) == {"app1": 30, "app2": 20}


@pytest.mark.faults
def test_a_busy_server_is_not_sick(two: Proxy) -> None:
    with flag(two.upstream.first("app1"), "busy"):

        def look() -> object:
            assert two.ejected() == {}
            number = int(two.upstream.first("app1").get("/checks").text)
            return None if number >= 3 else f"{number} slow checks"

        Wait(PATIENCE, 0.2).until("three slow checks", look)
    assert two.ejected() == {}


def test_after_one_failure_the_share_is_back_at_once(three: Proxy) -> None:
    three.route({"app1": 61, "app2": 39})
    # Asked of app1, it closes the connection; the other app answers.
    assert {three.ask("/reset/app1-1").status_code for _ in range(2)} == {200}
    three.wait_until_up()
    assert three.shares(100) == {"app1": 61, "app2": 39}


@pytest.mark.faults
def test_a_server_that_nobody_reaches_gets_nothing_until_it_is_back(two: Proxy) -> None:
    (name,) = two.upstream.names("app1")
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
    (name,) = two.upstream.names("app1")
    with flag(two.upstream.first("app1"), "sick"):
        two.wait_until_ejected({name: "check"})
        assert two.shares(20) == {"app2": 20}
        # If all fail their checks, all are tried.
        with flag(two.upstream.first("app2"), "sick"):

            def look() -> object:
                found = two.servers()
                return None if set(found.values()) == {("down", "")} else found

            Wait(PATIENCE, 0.1).until("both to be down", look)
            assert two.shares(20) == {"app1": 12, "app2": 8}
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_a_paused_server_is_ejected_and_its_requests_are_passed_on(two: Proxy) -> None:
    (name,) = two.upstream.names("app1")
    app1 = two.upstream.first("app1")
    of_a_check = {b"proxy_read_timeout 5s;": b"proxy_read_timeout 1s;"}
    two.configure(edits=of_a_check, http={"readTimeout": "8s"})
    with paused(app1), ThreadPoolExecutor(5) as pool:
        held = [pool.submit(two.ask) for _ in range(5)]
        two.wait_until_ejected({name: "check"})
        assert two.shares(20) == {"app2": 20}
        assert [one.result().status_code for one in held] == [200] * 5
    two.configure()
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_the_only_server_is_never_ejected(three: Proxy) -> None:
    three.route({"app1": 1})
    assert three.ask("/reset/app1-1").status_code == 503
    assert three.ejected() == {}
    assert three.shares(5) == {"app1": 5}
    with flag(three.upstream.first("app1"), "sick"):

        def look() -> object:
            assert three.ejected() == {}
            states = set(three.servers().values())
            return None if states == {("down", "")} else states

        Wait(PATIENCE, 0.1).until("it to fail its check", look)
        assert three.shares(5) == {"app1": 5}
    with stopped(three, "app1"):
        assert three.ask().status_code == 503
    assert three.shares(5) == {"app1": 5}


@pytest.mark.faults
def test_a_post_that_was_sent_is_never_repeated(two: Proxy) -> None:
    for number in range(4):
        headers = {"X-Request-ID": f"sent-{number}"}
        requests.post(two.url("/reset/app1-1"), data="a", headers=headers, timeout=PATIENCE)
        two.wait_until_up()
    seen = Counter(two.upstream.seen("app1") + two.upstream.seen("app2"))
    assert {seen[f"sent-{number}"] for number in range(4)} == {1}


@pytest.mark.faults
def test_a_post_that_nobody_took_is_passed_on(two: Proxy) -> None:
    with stopped(two, "app1"), ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(requests.post, two.url(), data="name=value", timeout=PATIENCE)
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
        answers = Counter(two.ask().status_code for _ in range(40))
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
    with (
        upstream.stubs(client, python_image, apps, hosts=hosts) as servers,
        running(client, nginx_image, servers) as found,
    ):
        assert found.ask(headers={"Host": "localhost"}).status_code == 200
        assert set(found.servers().values()) == {("up", "")}


@pytest.mark.faults
def test_six_restarts_under_load_lose_no_request(two: Proxy) -> None:
    app1 = two.upstream.first("app1")
    with wrk(two.url(), method="GET", rate=400) as load:
        for _ in range(6):
            app1.container.restart(timeout=1)
            wait_until_reachable(app1)
    assert load.failures == []
    assert load.requests > 100, "too few to prove anything"
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.parametrize(
    "time_", [0, *(pytest.param(time_, marks=pytest.mark.faults) for time_ in (1, 2))]
)
def test_a_killed_server_under_load_loses_no_request(two: Proxy, time_: int) -> None:
    with (
        wrk(two.url(), method="GET", rate=400) as load,
        wrk(two.url(), method="GET", keep_alive=False) as short,
        stopped(two, "app1"),
    ):
        two.wait_until_ejected(dict.fromkeys(two.upstream.names("app1"), "connect_failed"))
    assert load.failures == short.failures == []
    assert load.requests > 100, "too few to prove anything"
    # A connection to the dead server may have timed out after the new one was readmitted.
    two.wait_until_up()
    assert two.shares(10) == SHARES


@pytest.mark.faults
def test_requests_go_on_while_the_route_changes(two: Proxy) -> None:
    weights = [{"app1": n, "app2": 10 - n} for n in (1, 9, 0, 5)]
    with wrk(two.url(), method="GET") as get, wrk(two.url(), method="POST", body="a") as post:
        for before, after in pairwise(weights):
            assert before != after
            two.route(after)
    assert get.failures == post.failures == []


def test_an_nginx_that_has_just_started_answers_nothing_but_what_servers_answer(two: Proxy) -> None:
    for _ in range(3):
        answers: list[tuple[int, str]] = []

        two.container.restart(timeout=0)
        two.address = address_of(two.container)
        url = two.url()

        def look(url: str = url, answers: list[tuple[int, str]] = answers) -> object:
            answer = requests.get(url, timeout=PATIENCE)
            answers.append((answer.status_code, answer.text))
            return None if len(answers) > 20 else "too few answers"

        refused = (requests.ConnectionError,)
        Wait(PATIENCE, 0.001, forgives=refused).until("nginx to answer", look)
        assert {status for status, _ in answers} == {200}, answers


def test_without_any_address_a_request_waits_a_moment_and_gets_503(two: Proxy) -> None:
    servers = [one.container for found in two.upstream.apps.values() for one in found]
    names = [str(one.name) for one in servers]

    def look() -> object:
        id_ = new_id()
        answer = two.ask(headers={"X-Request-ID": id_})
        if answer.status_code == 200:
            return "an app answered"
        assert (answer.status_code, id_ in answer.text) == (503, True)
        tried = two.wait_for_record(id_)["upstream"].split(" : ")
        return None if tried == ["apps"] * (1 + WAITS) else tried

    try:
        # Docker's name server does not know the names any more.
        for one, name in zip(servers, names, strict=True):
            one.rename(f"{name}-renamed")
        Wait(PATIENCE, 0.1).until("nginx to have no address", look)
    finally:
        for one, name in zip(servers, names, strict=True):
            one.rename(name)
        two.wait_until_up()
    for app in SHARES:
        two.wait_until_answering(app)
