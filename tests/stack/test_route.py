"""The route in the running nginx: drift is seen and mended, a bad one is not taken."""

import pytest

from loadbalancer.nginx.live_route import LiveRoute, RouteError
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment
from tests.stack.editing import edit_by_hand


def test_a_route_edited_by_hand_is_seen_and_mended(stack: Deployment) -> None:
    declared = LiveRoute(stack.nginx()).text()
    edit_by_hand(stack, declared.replace("weight=3", "weight=1").replace("weight=2", "weight=1"))
    refreshed = stack.refresh()
    assert refreshed["update"] == 1
    with pytest.raises(PulumiError, match="changes were"):
        stack.expect_no_changes()
    mended = stack.up()
    assert mended["update"] == 1
    assert LiveRoute(stack.nginx()).text() == declared
    assert stack.shares(100) == {"app1": 60, "app2": 40}


def test_a_refresh_finds_nothing_where_nothing_changed(stack: Deployment) -> None:
    refreshed = stack.refresh()
    assert refreshed.keys() == {"same"}


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("weight=3", "weight=none", 'invalid parameter "weight=none"'),
        ("}", "", "is not allowed here"),
        ("zone apps 512k;", "zone apps 512k; listen 80;", '"listen" directive is not allowed'),
        ("-app2-", "-nobody-", "to answer its health probe through nginx"),
    ],
)
def test_a_route_that_nginx_refuses_leaves_the_old_one(
    stack: Deployment, good: str, bad: str, message: str
) -> None:
    nginx = LiveRoute(stack.nginx())
    before = nginx.text()
    with pytest.raises(RouteError, match=message):
        nginx.apply(before.replace(good, bad, 1))
    assert nginx.text() == before
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_the_route_is_put_into_an_nginx_that_is_new(stack: Deployment) -> None:
    dockerfile = stack.folder / "nginx" / "Dockerfile"
    text = dockerfile.read_text()
    before = stack.output("containers")
    dockerfile.write_text(f"{text}ENV VERSION=2\n")
    try:
        stack.up()
        assert stack.output("containers")["nginx"] != before["nginx"]
        assert stack.output("containers")["apps"] == before["apps"]
        assert stack.shares(100) == {"app1": 60, "app2": 40}
        stack.expect_no_changes()
    finally:
        dockerfile.write_text(text)
        stack.up()
