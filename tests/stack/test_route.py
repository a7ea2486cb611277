"""The route in the running nginx: drift is detected and repaired, a bad one is refused."""

import pytest

from loadbalancer.engine.wait import Wait
from loadbalancer.nginx import upstream
from loadbalancer.nginx.live_route import LiveRoute, RouteError
from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment
from tests.stack.editing import edit_by_hand


@pytest.mark.faults
def test_a_hand_edited_route_is_found_and_restored(stack: Deployment) -> None:
    desired = LiveRoute(stack.nginx()).text()
    edit_by_hand(stack, desired.replace("weight=3", "weight=1").replace("weight=2", "weight=1"))
    assert stack.refresh()["update"] == 1
    with pytest.raises(PulumiError, match="changes were"):
        stack.expect_no_changes()
    assert stack.up()["update"] == 1
    assert LiveRoute(stack.nginx()).text() == desired
    assert stack.shares(100) == {"app1": 60, "app2": 40}


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("weight=3", "weight=none", 'invalid parameter "weight=none"'),
        ("}", "", "is not allowed here"),
        ("zone apps 512k;", "zone apps 512k; listen 80;", '"listen" directive is not allowed'),
        pytest.param(
            "-app2-",
            "-nobody-",
            "to answer its health check through nginx",
            marks=pytest.mark.faults,
        ),
    ],
)
def test_a_route_that_nginx_refuses_leaves_the_old_one(
    stack: Deployment, good: str, bad: str, message: str
) -> None:
    nginx = LiveRoute(stack.nginx(), Wait(timeout=10))
    before = nginx.text()
    with pytest.raises(RouteError, match=message):
        nginx.apply(before.replace(good, bad, 1))
    assert nginx.text() == before
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_a_route_changes_after_a_change_that_was_killed_while_staged(stack: Deployment) -> None:
    nginx = LiveRoute(stack.nginx())
    before = nginx.text()
    left = upstream.staged(before, ["killed-1:5001", "killed-2:5002"])
    assert left is not None
    edit_by_hand(stack, left)
    # A server that is new to nginx: an app's container by its other name in the network.
    (name,) = stack.output("containers")["apps"]["app2"]
    changed = before.replace(f"{name}:", f"{stack.ids()[name][:12]}:")
    nginx.apply(changed)
    assert nginx.in_force() == changed
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    nginx.apply(before)
    assert nginx.in_force() == before
