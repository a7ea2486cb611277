"""Rollouts of a real stack under load, and every way in which they end."""

import json
import os
import pty
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import change
from tests.stack.load import wrk
from tests.stack.rolling import (
    FAULTS,
    HOWEVER_SLOW,
    PATIENCE,
    QUICK,
    answered,
    command,
    fail,
    in_force,
    rolling,
    run,
)

BEFORE = {"app1": 1, "app2": 0}
ALL = {"app1": 0, "app2": 100}
TO = ("--to", "app1=0,app2=100")
DYING = Path(__file__).with_name("dying.py")

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def module_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Deployment]:
    """A stack whose app2 fails on demand."""
    with Deployment.temporary(tmp_path_factory.mktemp("rolling"), base_images) as deployment:
        change(deployment, "app2", FAULTS)
        deployment.set("apps.app2.directPort", free_ports(1)[0])
        deployment.set_weights(**BEFORE)
        deployment.up()
        yield deployment
        deployment.expect_no_changes()


@pytest.fixture
def stack(module_stack: Deployment) -> Iterator[Deployment]:
    """The stack before a rollout; what a test leaves is what its config says."""
    fail(module_stack)
    if in_force(module_stack) != BEFORE or weights(module_stack) != BEFORE:
        module_stack.set_weights(**BEFORE)
        module_stack.up()
    yield module_stack
    assert "loadbalancer-rollout:progress" not in module_stack.config()


def weights(stack: Deployment) -> dict[str, int]:
    """The weights in the config."""
    found = stack.get("weights")
    return {app: int(weight) for app, weight in found.items()}


def history(stack: Deployment) -> list[dict[str, object]]:
    code, out = run(stack, "history", "--json")
    assert code == 0
    found: list[dict[str, object]] = json.loads(out.splitlines()[0])
    return found


def is_back(stack: Deployment, *why: str) -> None:
    """The weights from before are in the config, in nginx and in the state; history says why."""
    assert weights(stack) == in_force(stack) == BEFORE
    last = history(stack)[-1]
    assert (last["what"], last["weights"]) == ("rollout: rolled back", BEFORE)
    assert all(word in str(last["why"]) for word in why), last


def test_all_the_way_under_load_without_a_failed_request(stack: Deployment) -> None:
    began = time.monotonic()
    words = (*TO, "--linear", "25%/2s", "--interval", "1s", *HOWEVER_SLOW)
    with wrk(stack.url, method="GET", rate=700) as load, rolling(stack, *words) as at_work:
        assert at_work.end() == 0, at_work.events[-3:]
    assert not load.failures
    print(f"{load.requests / (time.monotonic() - began):.0f} requests/s")
    assert load.requests > 4 * 100, "fewer than the samples of the steps"
    assert weights(stack) == in_force(stack) == ALL
    told = history(stack)[-6:]
    assert [(one["what"], one["weights"]) for one in told[1:]] == [
        ("rollout: step", {"app1": 3, "app2": 1}),
        ("rollout: step", {"app1": 1, "app2": 1}),
        ("rollout: step", {"app1": 1, "app2": 3}),
        ("rollout: step", ALL),
        ("rollout: reached", ALL),
    ]
    # Back again by hand: to the last update that was stable, and had other shares.
    code, out = run(stack, "rollback")
    assert code == 0, out
    assert f"Went back to update {told[0]['number']}: app1=1,app2=0" in out
    assert in_force(stack) == BEFORE
    assert run(stack, "rollback", "99999")[0] == 2


def nothing_goes_to_app2(stack: Deployment) -> None:
    """Wait until so many requests go to app1 without one to app2 that this is no chance."""
    seen = answered(stack)

    def look() -> object:
        nonlocal seen
        now = answered(stack)
        if now["app2"] != seen["app2"]:
            seen = now
        return None if now["app1"] - seen["app1"] >= 100 else (seen, now)

    PATIENCE.until("100 requests to app1 without one to app2", look)


def test_errors_at_a_middle_step_lead_back_at_once(stack: Deployment) -> None:
    words = (*TO, "--steps", "20,50,100", "--step-time", "1h", "--interval", "2s", *HOWEVER_SLOW)
    with wrk(stack.url, method="GET", rate=300) as load, rolling(stack, *words) as at_work:
        at_work.wait_for("check passed", 1)
        assert run(stack, "rollout", "promote")[0] == 0
        at_work.wait_for("check passed", 2)
        before = answered(stack)["app2"]
        began = time.time()
        fail(stack, every=20)
        PATIENCE.until(
            "the weights to be back", lambda: None if in_force(stack) == BEFORE else "not yet"
        )
        took = time.time() - began
        assert at_work.end() == 3
        nothing_goes_to_app2(stack)
    print(f"back after {took:.1f} s, {len(load.failures)} of {load.requests} requests failed")
    # At once is after three checks that had something to say; how long they take is the load's.
    told = [one for one in at_work.events if one["kind"] != "check hold"][-5:]
    assert [one["kind"] for one in told] == [*["check failed"] * 3, "back", "rolled back"]
    assert [one["failedInARow"] for one in told[:3]] == [1, 2, 3]
    is_back(stack, "3 checks in a row failed", "app2 failed ", "% of ", "limit 1.00%")
    # No more than app2's share of what it was asked while it failed, and none before.
    assert load.failed_at
    assert int(began) <= min(load.failed_at)
    assert 0 < len(load.failures) <= (answered(stack)["app2"] - before) / 20 * 2
    stack.expect_no_changes()
    stack.up()
    assert in_force(stack) == BEFORE


def test_slow_answers_lead_back(stack: Deployment) -> None:
    fail(stack, sleep=0.15)
    words = (*TO, "--steps", "50,100", *QUICK, "--max-p99", "100ms", "--failure-limit", "1")
    with wrk(stack.url, method="GET"), rolling(stack, *words) as at_work:
        assert at_work.end() == 3
    is_back(stack, "a check failed because", "app2's p99 is ", "limit 100 ms")


def test_no_traffic_leads_back_at_the_deadline(stack: Deployment) -> None:
    with rolling(stack, *TO, *QUICK, "--deadline", "10s") as at_work:
        assert at_work.end() == 3
    checks = [one for one in at_work.events if one["kind"].startswith("check ")]
    assert {one["kind"] for one in checks} == {"check hold"}
    assert any(one["text"].startswith("app2 has 0 of 20 samples") for one in checks)
    # Where nginx stalled at last, its silence is the reason.
    is_back(stack, f"step 1 of 5 (5%) has not passed: {checks[-1]['text']}")


def test_metrics_that_cannot_be_read_lead_back_at_the_deadline(stack: Deployment) -> None:
    nginx = stack.nginx()
    # Long enough that nginx is paused by then, however busy the machine is.
    with rolling(stack, *TO, *QUICK, "--deadline", "10s") as at_work:
        at_work.wait_for("set", 1)
        nginx.pause()
        try:
            at_work.wait_for("back")
        finally:
            nginx.unpause()
        assert at_work.end() == 3
    is_back(stack, "step 1 of 5 (5%) has not passed: no metrics: ", "has not answered within 2 s")


def test_killed_inside_an_update_and_gone_on_with(stack: Deployment) -> None:
    words = (*TO, "--steps", "20,100", *QUICK)
    with wrk(stack.url, method="GET") as load:
        with rolling(stack, *words) as at_work:
            at_work.wait_for("setting", 2)
            locks = stack.folder.parent / "state" / ".pulumi" / "locks"
            PATIENCE.until(
                "the update to begin", lambda: None if list(locks.rglob("*.json")) else "no lock"
            )
            at_work.kill()
        # The next command sees it, and without a terminal leaves it to a person.
        code, out = run(stack, "rollout", *words)
        assert code == 4
        assert "was cut off, at step 2 of 2" in out
        assert "make rollout DO=resume STACK=" in out
        assert "make rollout DO=abort STACK=" in out
        assert "step 2 of 2" in run(stack, "rollout", "status")[1]
        assert run(stack, "rollback")[0] == 1
        with rolling(stack, "resume") as later:
            assert later.end() == 0, later.events[-3:]
    assert not load.failures
    assert weights(stack) == in_force(stack) == ALL


def killed_at_every_boundary(
    stack: Deployment, seen: Path, first: Sequence[str], then: Sequence[str]
) -> Mapping[str, Mapping[str, int | None]]:
    """Begin, and go on as often as it is killed, to the end.

    Returns the weights that nginx has after each boundary.
    """
    verb = first
    found: dict[str, Mapping[str, int | None]] = {}
    while True:
        code, out = run(stack, "rollout", *verb, program=(str(DYING), str(seen)))
        assert code == -signal.SIGKILL, out
        found[seen.read_text().splitlines()[-1]] = in_force(stack)
        if "loadbalancer-rollout:progress" not in stack.config():
            # It died when all was done.
            return found
        verb = then


def test_killed_at_every_boundary_and_gone_on_with(stack: Deployment, tmp_path: Path) -> None:
    words = (*TO, "--steps", "20,100", "--hook", "true", *QUICK)
    with wrk(stack.url, method="GET") as load:
        found = killed_at_every_boundary(stack, tmp_path / "seen", words, ["resume"])
    assert list(found) == [
        "save begun 1",
        *("hook before begun 1", "save step 1", "up step 1", "hook after step 1"),
        *("hook before step 1", "save step 2", "up step 2", "hook after step 2"),
        *("save closing 2", "up closing 2", "forget closing 2"),
    ]
    assert not load.failures
    assert weights(stack) == in_force(stack) == ALL
    assert history(stack)[-1]["what"] == "rollout: reached"
    stack.expect_no_changes()


def test_killed_at_every_boundary_on_the_way_back(stack: Deployment, tmp_path: Path) -> None:
    with rolling(stack, *TO, "--steps", "20,100", *QUICK) as at_work:
        at_work.wait_for("set", 1)
        at_work.kill()
    found = killed_at_every_boundary(stack, tmp_path / "seen", ["abort"], ["abort"])
    step = {"app1": 4, "app2": 1}
    assert list(found.items()) == [
        ("save step 1", step),
        ("save back 1", step),
        # nginx has them before the update that says so.
        ("reroute back 1", BEFORE),
        ("up back 1", BEFORE),
        ("forget back 1", BEFORE),
    ]
    is_back(stack, "aborted by ")
    stack.expect_no_changes()


def test_a_second_one_is_refused_and_other_terminals_are_heard(stack: Deployment) -> None:
    words = (*TO, "--steps", "20,60,100", "--step-time", "1h", "--interval", "1s")
    with rolling(stack, *words) as at_work:
        at_work.wait_for("set", 1)
        code, out = run(stack, "rollout", *TO)
        assert code == 1
        assert f"a rollout of {stack.name} is at work (process {at_work.process.pid}" in out
        assert run(stack, "rollout", "pause")[0] == 0
        at_work.wait_for("paused")
        assert "It is paused." in run(stack, "rollout", "status")[1]
        assert run(stack, "rollout", "resume")[0] == 0
        at_work.wait_for("running")
        assert run(stack, "rollout", "promote")[0] == 0
        at_work.wait_for("set", 2)
        assert in_force(stack) == {"app1": 2, "app2": 3}
        assert run(stack, "rollout", "abort")[0] == 0
        assert at_work.end() == 3
    is_back(stack, "aborted from another terminal")
    assert run(stack, "rollout", "pause")[0] == 1


def test_what_somebody_else_sets_stays(stack: Deployment) -> None:
    with rolling(stack, *TO, "--step-time", "1h", "--interval", "1s") as at_work:
        at_work.wait_for("set", 1)
        stack.set("weights.app2", 7)
        assert at_work.end() == 4
        assert "somebody else set the weights to " in at_work.events[-1]["text"]
    theirs = weights(stack)
    assert theirs["app2"] == 7
    assert run(stack, "rollout", "resume")[0] == 4
    assert run(stack, "rollout", "abort")[0] == 4
    assert weights(stack) == theirs
    assert "the weights stay as they are" in run(stack, "rollout", "abort", "--keep")[1]
    assert weights(stack) == theirs
    stack.up()


def test_an_update_by_somebody_else_is_noticed(stack: Deployment) -> None:
    with rolling(stack, *TO, "--step-time", "1h", "--interval", "1s") as at_work:
        at_work.wait_for("set", 1)
        stack.up()
        assert at_work.end() == 4
        assert "somebody else ran an update: number " in at_work.events[-1]["text"]
    # Who has seen that may take it back all the same.
    with rolling(stack, "abort") as later:
        assert later.end() == 3
    is_back(stack)


def test_ctrl_c_asks_on_a_terminal_and_holds_without_one(stack: Deployment) -> None:
    with rolling(stack, *TO, "--step-time", "1h", "--interval", "1s") as at_work:
        at_work.wait_for("set", 1)
        at_work.process.send_signal(signal.SIGINT)
        assert at_work.end() == 4
    assert in_force(stack) == {"app1": 19, "app2": 1}

    ours, theirs = pty.openpty()
    words = ("env", "TERM=xterm", *command(stack, "rollout", "resume"))
    process = stack.process(*words, stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT)
    os.close(theirs)
    printed = ""

    def wait_for(text: str) -> None:
        nonlocal printed
        while text not in printed:
            printed += os.read(ours, 65536).decode(errors="replace")

    try:
        wait_for("are in force")
        process.send_signal(signal.SIGINT)
        wait_for("roll back (r)?")
        os.write(ours, b"r\n")
        wait_for("Rolled back to app1=1,app2=0")
        assert process.wait(timeout=300) == 3
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    is_back(stack, "taken back by ")


def test_five_healthy_ones_with_random_plans(stack: Deployment) -> None:
    chance = random.Random(6)  # noqa: S311
    before = BEFORE
    for _ in range(5):
        to = {"app1": chance.randint(0, 100), "app2": chance.randint(1, 100)}
        plan = chance.choice(
            [
                ("--steps", f"{chance.randint(1, 80)},100"),
                ("--linear", f"{chance.randint(50, 99)}%/{chance.randint(1, 3)}s"),
                ("--canary", f"{chance.randint(1, 50)}%/{chance.randint(1, 3)}s"),
                ("--at-once",),
            ]
        )
        words = ("--to", ",".join(f"{app}={weight}" for app, weight in to.items()), *plan)
        # An app that has more to do may be slower for a while; then a step waits until it is not.
        compared = ("--compare", "--failure-limit", "1000")
        with (
            wrk(stack.url, method="GET", rate=80) as load,
            rolling(stack, *words, *QUICK, *compared) as at_work,
        ):
            assert at_work.end() == 0, (before, words, at_work.events[-3:])
        assert not load.failures
        assert weights(stack) == in_force(stack) == to
        before = to


def test_the_history_reads_as_a_story(stack: Deployment) -> None:
    code, out = run(stack, "history")
    assert code == 0
    assert "Traceback" not in out
    every = history(stack)
    assert [one["number"] for one in every] == list(range(1, len(every) + 1))
    assert all(one["who"] for one in every if str(one["what"]).startswith("rollout"))
