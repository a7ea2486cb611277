"""The text of the route: what nginx reads, and what nobody can put into it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.nginx import upstream
from loadbalancer.nginx.upstream import Server

APP1 = Server("app1", "lb-dev-app1-1a2b3c4", 5001, 3)
APP2 = Server("app2", "lb-dev-app2-5d6e7f8", 5002, 0)
WEIGHTS = {"app1": 6, "app2": 0}


def test_the_block_names_each_server_with_its_share() -> None:
    lines = [line.strip() for line in upstream.render([APP2, APP1], WEIGHTS).splitlines()]
    assert "server lb-dev-app1-1a2b3c4:5001 weight=3 max_fails=1 fail_timeout=2s resolve;" in lines
    assert "server lb-dev-app2-5d6e7f8:5002 down max_fails=1 fail_timeout=2s resolve;" in lines
    assert '"~:5001$" app1; # weight 6' in lines
    assert "zone apps 512k;" in lines
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
        r" {4}server [A-Za-z0-9_.-]+:\d+ (weight=\d+|down) max_fails=1 fail_timeout=2s resolve;",
        line,
    )


@pytest.mark.parametrize("host", ["a;b", "a b", "a{", "", "-a", "a\n", "a#", "a$b", '"a"', "a:1"])
def test_a_host_that_means_more_to_nginx_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a host"):
        Server("app1", host, 5001, 1)


def test_the_servers_of_a_route_are_found_again() -> None:
    text = upstream.render([APP1, APP2], WEIGHTS)
    assert upstream.addresses(text) == {APP1.address, APP2.address}


def test_newcomers_are_added_without_a_share_and_tried() -> None:
    before = upstream.render([APP1], WEIGHTS)
    text = upstream.staged(before, [APP2.address])
    assert text is not None
    block = text[text.index("upstream apps {") : text.index("}")]
    assert "server lb-dev-app2-5d6e7f8:5002 down resolve;" in block
    assert "server lb-dev-app1-1a2b3c4:5001 weight=3 max_fails=1 fail_timeout=2s resolve;" in block
    assert "location = /0 { proxy_pass http://staged_0/healthz; }" in text


def test_a_route_that_cannot_be_added_to_is_left_alone() -> None:
    assert upstream.staged("# somebody emptied it\n", [APP2.address]) is None


def test_the_table_tells_what_the_metrics_need_to_know() -> None:
    text = upstream.render([APP1, APP2], WEIGHTS)
    assert upstream.table(text, 1.5) == {
        "version": upstream.version(text),
        "changed": 1.5,
        "ports": {"5001": "app1", "5002": "app2"},
        "apps": [
            {"name": "app1", "weight": 6, "servers": [APP1.address]},
            {"name": "app2", "weight": 0, "servers": [APP2.address]},
        ],
    }


def test_a_route_without_stated_weights_has_those_of_its_servers() -> None:
    text = re.sub(" # weight .*", "", upstream.render([APP1, APP2], WEIGHTS))
    assert [app["weight"] for app in upstream.table(text, 0)["apps"]] == [3, 0]


def test_the_version_is_that_of_the_content() -> None:
    one = upstream.render([APP1], WEIGHTS)
    assert re.fullmatch(r"[0-9a-f]{12}", upstream.version(one))
    assert upstream.version(one) == upstream.version(upstream.render([APP1], WEIGHTS))
    assert upstream.version(one) != upstream.version(upstream.render([APP1], {"app1": 7}))
