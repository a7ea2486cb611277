"""Rollouts of a real stack under load: to the target, back, killed, and controlled.

All tests share one stack and continue from the weights that the test before has left. More of it,
and slower, is in tests/faults/test_rollout.py.
"""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

from loadbalancer.metrics.window import since
from loadbalancer.state.message import format_weights
from tests.stack import counters
from tests.stack.deployment import Deployment
from tests.stack.load import wrk
from tests.stack.rolling import (
    ANY_P99,
    PATIENCE,
    QUICK,
    answered,
    bring_up,
    fail,
    has_record,
    has_rolled_back,
    history,
    in_force,
    rolling,
    run,
    weights,
)

BEFORE = {"app1": 1, "app2": 0}
ALL = {"app1": 0, "app2": 100}
TO = ("--to", "app1=0,app2=100")

pytestmark = [pytest.mark.timeout(3600), pytest.mark.xdist_group("rollout")]


@pytest.fixture(scope="module")
def stack(module_stack: Deployment) -> Deployment:
    """A stack whose app2 can be made to fail, with all requests at app1."""
    bring_up(module_stack, **BEFORE)
    return module_stack


@pytest.mark.faults
def test_to_the_target_under_load_without_a_failed_request(stack: Deployment) -> None:
    selected = sorted(stack.folder.parent.rglob("*-workspace.json"))
    words = ("start", *TO, "--linear", "50%/2s", "--interval", "1s", *ANY_P99)
    with wrk(stack.url, method="GET", rate=700) as load, rolling(stack, *words) as rollout:
        assert rollout.end() == 0, rollout.events[-3:]
    assert not load.failures
    assert load.requests > 2 * 100, "fewer than the samples of the steps"
    assert weights(stack) == in_force(stack) == ALL
    updates = history(stack)[-4:]
    assert [(one["what"], one["weights"]) for one in updates[1:]] == [
        ("rollout: step", {"app1": 1, "app2": 1}),
        ("rollout: step", ALL),
        ("rollout: reached", ALL),
    ]
    assert all(one["who"] for one in updates[1:])
    # No command of a rollout selects a stack.
    assert sorted(stack.folder.parent.rglob("*-workspace.json")) == selected
    # To the last update that was stable and had other shares.
    code, out = run(stack, "rollback")
    assert code == 0, out
    assert f"Rolled back to update {updates[0]['number']}: app1=1,app2=0" in out
    assert weights(stack) == in_force(stack) == BEFORE
    assert run(stack, "rollback", "99999")[0] == 2


@pytest.mark.faults
def test_errors_at_a_step_roll_back_at_once(stack: Deployment) -> None:
    options = ("--steps", "50,100", "--step-time", "1h", "--interval", "2s", *ANY_P99)
    words = ("start", *TO, *options)
    with wrk(stack.url, method="GET", rate=300) as load, rolling(stack, *words) as rollout:
        rollout.wait_for("check passed", 1)
        before = answered(stack)["app2"]
        failing = time.time()
        fail(stack, every=20)
        PATIENCE.until(
            "the weights to be back", lambda: None if in_force(stack) == BEFORE else "not yet"
        )
        assert rollout.end() == 3
        no_request_reaches_app2(stack)
    # At once is after three checks with a verdict; how long they take depends on the load.
    last = [one for one in rollout.events if one["kind"] != "check inconclusive"][-5:]
    kinds = [*["check failed"] * 3, "rolling back", "rolled back"]
    assert [one["kind"] for one in last] == kinds
    assert [one["failedInARow"] for one in last[:3]] == [1, 2, 3]
    has_rolled_back(stack, BEFORE, "3 checks in a row failed", "app2 failed ", "limit 1.00%")
    # Only app2 failed, at its rate, and not before it was made to.
    assert load.failed_at
    assert int(failing) <= min(load.failed_at)
    assert 0 < len(load.failures) <= (answered(stack)["app2"] - before) / 20 * 2
    fail(stack)


@pytest.mark.faults
def test_a_version_that_hangs_is_led_back_without_any_sample(stack: Deployment) -> None:
    options = ("--steps", "50,100", "--step-time", "1h", "--interval", "2s", "--confirm", "2")
    # Its clients wait for longer than three checks take, and are counted only then.
    with wrk(stack.url, method="GET"), rolling(stack, "start", *TO, *options) as rollout:
        rollout.wait_for("set", 1)
        fail(stack, sleep=45)
        assert rollout.end() == 3
    kinds = [one["kind"] for one in rollout.events if one["kind"] != "check inconclusive"][-5:]
    assert kinds == [*["check failed"] * 3, "rolling back", "rolled back"], rollout.events
    has_rolled_back(stack, BEFORE, "3 checks in a row failed, the last because app2 ", "answered")
    works_again(stack)


def works_again(stack: Deployment) -> None:
    """Wait until app2 takes requests again; until then it holds those of before."""

    def look() -> object:
        try:
            fail(stack)
        except requests.RequestException as error:
            return error
        return None

    PATIENCE.until("app2 to answer", look)


@pytest.mark.faults
def test_an_app_is_watched_while_a_confirmation_is_awaited(stack: Deployment) -> None:
    options = ("--steps", "50,100", "--confirm", "2", *QUICK)
    with wrk(stack.url, method="GET"), rolling(stack, "start", *TO, *options) as rollout:
        rollout.wait_for("confirm")
        fail(stack, every=2)
        assert rollout.end() == 3
    has_rolled_back(stack, BEFORE, "3 checks in a row failed", "app2 failed ")
    fail(stack)


@pytest.mark.faults
def test_a_slow_upload_is_not_the_time_of_an_app(stack: Deployment) -> None:
    pause = 1.5
    before = counters.read(stack)
    host, port = urlsplit(stack.url).hostname, urlsplit(stack.url).port
    assert host
    with socket.create_connection((host, port or 80), timeout=60) as client:
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode() + b"ab")
        time.sleep(pause)  # the slow client
        client.sendall(b"cd")
        while client.recv(65536):
            pass

    def look() -> object:
        ended = since(before, counters.read(stack)).requests
        return None if ended == 1 else ended

    PATIENCE.until("the request to be counted", look)
    apps = since(before, counters.read(stack)).apps.values()
    assert sum(app.header_duration.count for app in apps) == 1
    whole = sum(app.request_duration.sum for app in apps)
    own = sum(app.header_duration.sum for app in apps)
    # nginx's clock goes in ticks, which are long when the machine is busy.
    assert whole - own >= pause - 0.2, (whole, own)


def no_request_reaches_app2(stack: Deployment) -> None:
    """Wait until app1 gets 100 requests in a row, which is no chance."""
    seen = answered(stack)

    def look() -> object:
        nonlocal seen
        now = answered(stack)
        if now["app2"] != seen["app2"]:
            seen = now
        return None if now["app1"] - seen["app1"] >= 100 else (seen, now)

    PATIENCE.until("100 requests to app1 without one to app2", look)


@pytest.mark.faults
def test_killed_inside_an_update_and_resumed(stack: Deployment) -> None:
    words = ("start", *TO, "--at-once", *QUICK)
    with wrk(stack.url, method="GET") as load:
        with rolling(stack, *words) as rollout:
            rollout.wait_for("setting", 1)
            PATIENCE.until("the update to start", lambda: None if stack.locks() else "no lock")
            rollout.kill()
        # The next command finds the record, and without a terminal leaves the choice to the user.
        code, out = run(stack, "rollout", *words)
        assert code == 4
        assert "was interrupted, at step 1 of 1" in out
        assert f"./lb rollout resume --stack {stack.name}" in out
        assert f"./lb rollout abort --stack {stack.name}" in out
        assert "was interrupted, at step 1 of 1" in run(stack, "rollout", "status")[1]
        assert run(stack, "rollback")[0] == 1
        with rolling(stack, "resume") as later:
            assert later.end() == 0, later.events[-3:]
    assert not load.failures
    assert weights(stack) == in_force(stack) == ALL
    assert not has_record(stack)
    assert history(stack)[-1]["what"] == "rollout: reached"


@pytest.mark.faults
def test_control_from_another_terminal(stack: Deployment) -> None:
    options = ("--steps", "60,100", "--step-time", "1h", "--interval", "1s")
    words = ("start", "--to", "app1=1,app2=0", *options)
    with rolling(stack, *words) as rollout:
        rollout.wait_for("set", 1)
        code, out = run(stack, "rollout", *words)
        assert code == 1
        assert f"a rollout of {stack.name} is running (process {rollout.process.pid}" in out
        assert run(stack, "rollout", "pause")[0] == 0
        rollout.wait_for("paused")
        assert "It is paused." in run(stack, "rollout", "status")[1]
        assert run(stack, "rollout", "resume")[0] == 0
        rollout.wait_for("running")
        assert run(stack, "rollout", "promote")[0] == 0
        rollout.wait_for("set", 2)
        assert in_force(stack) == BEFORE
        assert run(stack, "rollout", "abort")[0] == 0
        assert rollout.end() == 3
    has_rolled_back(stack, ALL, "aborted from another terminal")
    assert run(stack, "rollout", "pause")[0] == 1


@pytest.mark.faults
def test_secret_weights_stay_secret(stack: Deployment) -> None:
    before, target = weights(stack), {"app1": 337, "app2": 663}
    stack.unset("weights")
    stack.run("config", "set", "--secret", "weights", format_weights(before))
    stack.run("config", "set", "--secret", "--path", "rollout.to.app1", "337")
    stack.run("config", "set", "--secret", "--path", "rollout.to.app2", "663")
    with rolling(stack, "start", "--at-once", *QUICK) as rollout:
        rollout.wait_for("set", 1)
        code, printed = run(stack, "rollout", "status")
        assert code == 0, printed
        assert run(stack, "rollout", "promote")[0] == 0
        assert rollout.end() == 0, rollout.events[-3:]
    assert in_force(stack) == target
    assert set(stack.get("weights")) == {"secure"}
    assert json.loads(stack.run("config", "get", "weights")) == target
    table = run(stack, "history")[1]
    assert "[secret]" in table.splitlines()[-2]
    last = history(stack)[-1]
    assert (last["secret"], last["weights"], last["stable"]) == (True, None, True)
    assert not [event for event in rollout.events if event["weights"] or "=" in event["text"]]
    assert not [text for text in (printed, table, str(last)) if "337" in text and "663" in text]
    # Back to what was before, which is secret as well.
    code, printed = run(stack, "rollback")
    assert code == 0, printed
    assert "[secret]" in printed
    assert set(stack.get("weights")) == {"secure"}
    assert in_force(stack) == before
    stack.unset("rollout", "weights")
    stack.set_weights(**before)
