"""The text of the route: what nginx reads, and that nothing else can get into it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.nginx import shares, upstream
from loadbalancer.nginx.upstream import Server

APP1 = Server("app1", "lb-dev-app1-1a2b3c4", 5001, 3)
APP2 = Server("app2", "lb-dev-app2-5d6e7f8", 5002, 0)
WEIGHTS = {"app1": 6, "app2": 0}


def test_the_block_names_each_server_with_its_share() -> None:
    lines = [line.strip() for line in upstream.render([APP2, APP1], WEIGHTS).splitlines()]
    assert f"server {APP1.address} weight=3 max_fails=0 route={APP1.route} resolve;" in lines
    assert f"server {APP2.address} down max_fails=0 route={APP2.route} resolve;" in lines
    assert '"~:5001$" app1; # weight 6' in lines
    assert "zone apps 512k;" in lines
    assert "sticky route $pick;" in lines
    assert "keepalive 64;" in lines


def test_the_order_of_the_servers_does_not_matter() -> None:
    assert upstream.render([APP2, APP1], WEIGHTS) == upstream.render([APP1, APP2], WEIGHTS)


@given(st.text(), st.text(), st.integers(), st.integers())
def test_nothing_but_names_and_numbers_gets_into_the_text(
    app: str, host: str, port: int, weight: int
) -> None:
    try:
        server = Server(app, host, port, weight)
    except ValueError:
        return
    text = upstream.render([server], {app: weight})
    (line,) = [line for line in text.splitlines() if "resolve" in line]
    assert re.fullmatch(
        r" {4}server [A-Za-z0-9_.-]+:\d+ (weight=\d+|down) max_fails=0 route=[0-9a-f]{12} resolve;",
        line,
    )


@pytest.mark.parametrize("host", ["a;b", "a b", "a{", "", "-a", "a\n", "a#", "a$b", '"a"', "a:1"])
def test_a_host_with_special_characters_of_nginx_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not a valid host name"):
        Server("app1", host, 5001, 1)


def test_the_servers_of_a_route_are_parsed() -> None:
    text = upstream.render([APP1, APP2], WEIGHTS)
    assert upstream.addresses(text) == {APP1.address, APP2.address}


def test_newcomers_are_staged_without_a_share_and_checked() -> None:
    before = upstream.render([APP1], WEIGHTS)
    text = upstream.staged(before, [APP2.address])
    assert text is not None
    block = text[text.index("upstream apps {") : text.index("}")]
    assert "server lb-dev-app2-5d6e7f8:5002 down resolve;" in block
    assert f"server {APP1.address} weight=3 max_fails=0 route={APP1.route} resolve;" in block
    assert "location = /0 { proxy_pass http://staged_0/healthz; }" in text
    # As the health check of the container has it: an app may accept no other.
    assert "proxy_set_header Host localhost;" in text


def test_a_route_without_an_upstream_block_is_not_staged() -> None:
    assert upstream.staged("# emptied by hand\n", [APP2.address]) is None


NEWCOMERS = st.lists(st.integers(1, 9).map("new{0}:{0}".format), min_size=1, max_size=4)


@given(NEWCOMERS, NEWCOMERS)
def test_staging_replaces_an_earlier_staging(first: list[str], second: list[str]) -> None:
    route = upstream.render([APP1, APP2], WEIGHTS)
    once = upstream.staged(route, first)
    assert once is not None
    assert upstream.unstaged(once) == route
    twice = upstream.staged(once, second)
    assert twice == upstream.staged(route, second)


@pytest.mark.parametrize("edit", [("keepalive 64;", "keepalive 1;"), ("}\n", "}"), ("# ", "#")])
def test_only_the_staging_is_removed_from_a_hand_edited_route(edit: tuple[str, str]) -> None:
    head, _, tail = upstream.render([APP1, APP2], WEIGHTS).rpartition(edit[0])
    route = head + edit[1] + tail
    assert upstream.unstaged(route) == route
    staged = upstream.staged(route, ["new:1"])
    assert staged is not None
    assert upstream.unstaged(staged).removesuffix("\n") == route.removesuffix("\n")


def test_servers_that_are_down_are_no_staging() -> None:
    route = upstream.render([APP1, APP2], WEIGHTS)
    assert " down " in route
    assert upstream.unstaged(route) == route


def test_the_table_for_the_metrics() -> None:
    text = upstream.render([APP1, APP2], WEIGHTS)
    assert upstream.table(text, 1.5) == {
        "version": upstream.version(text),
        "changed": 1.5,
        "ports": {"5001": "app1", "5002": "app2"},
        "apps": [
            {"name": "app1", "weight": 6, "servers": [APP1.address]},
            {"name": "app2", "weight": 0, "servers": [APP2.address]},
        ],
        "rotation": {"servers": [APP1.address], "bounds": [1], "total": 1, "stride": 1},
        "routes": {APP1.address: APP1.route, APP2.address: APP2.route},
    }


def test_a_route_without_stated_weights_has_those_of_its_servers() -> None:
    text = re.sub(" # weight .*", "", upstream.render([APP1, APP2], WEIGHTS))
    assert [app["weight"] for app in upstream.table(text, 0)["apps"]] == [3, 0]


def test_the_version_is_that_of_the_content() -> None:
    one = upstream.render([APP1], WEIGHTS)
    assert re.fullmatch(r"[0-9a-f]{12}", upstream.version(one))
    assert upstream.version(one) == upstream.version(upstream.render([APP1], WEIGHTS))
    assert upstream.version(one) != upstream.version(upstream.render([APP1], {"app1": 7}))


def route(weights: dict[str, int], replicas: dict[str, int]) -> str:
    """A route as the program writes it."""
    each = shares.server_weights(weights, replicas)
    return upstream.render(
        [
            upstream.Server(app, f"lb-{app}-{n}", 10_000 + index, each[app])
            for index, app in enumerate(weights)
            for n in range(replicas[app])
        ],
        weights,
    )


def test_other_weights_for_the_servers_of_a_route() -> None:
    replicas = {"app1": 2, "app2": 1}
    now = route({"app1": 9, "app2": 1}, replicas)
    weights = {"app1": 1, "app2": 0}
    assert upstream.reweighted(now, weights) == route(weights, replicas)
    assert upstream.reweighted(now, {"app1": 1, "app3": 1}) is None
    assert upstream.reweighted(now, {"app1": 0, "app2": 0}) is None
    assert upstream.reweighted("", weights) is None
    # An app that the rollout added is not in the route before it.
    three = route({"app1": 9, "app2": 1, "app3": 5}, {**replicas, "app3": 1})
    assert upstream.reweighted(three, weights) == route(weights, replicas)


def test_other_weights_leave_out_what_is_staged() -> None:
    now = route({"app1": 1, "app2": 1}, {"app1": 1, "app2": 1})
    staged = upstream.staged(now, ["lb-app3-0:10009"])
    assert staged
    weights = {"app1": 1, "app2": 0}
    assert upstream.reweighted(staged, weights) == upstream.reweighted(now, weights)
