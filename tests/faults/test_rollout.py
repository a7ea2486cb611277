"""Rollouts of a real stack: killed at every boundary, random plans, and interference.

The same is proven in the simulated stack of tests/unit/test_rollout_loop.py; here it is real.
"""

import os
import pty
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from loadbalancer.config import apps
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.upstream import reweighted
from tests.stack.deployment import Deployment
from tests.stack.load import wrk
from tests.stack.rolling import (
    QUICK,
    bring_up,
    command,
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
DYING = Path(__file__).with_name("dying.py")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("rollout-faults"),
]


@pytest.fixture(scope="module")
def rolling_stack(module_stack: Deployment) -> Deployment:
    """A stack whose app2 can be made to fail, with all requests at app1."""
    bring_up(module_stack, **BEFORE)
    return module_stack


@pytest.fixture
def stack(rolling_stack: Deployment) -> Iterator[Deployment]:
    """The stack at the weights before a rollout; each test ends its rollouts."""
    fail(rolling_stack)
    if not in_force(rolling_stack) == weights(rolling_stack) == BEFORE:
        rolling_stack.set_weights(**BEFORE)
        rolling_stack.up()
    yield rolling_stack
    assert not has_record(rolling_stack)


def test_slow_answers_roll_back(stack: Deployment) -> None:
    fail(stack, sleep=0.15)
    options = ("--steps", "50,100", *QUICK, "--max-p99", "100ms", "--failure-limit", "1")
    with wrk(stack.url, method="GET"), rolling(stack, "start", *TO, *options) as rollout:
        assert rollout.end() == 3
    has_rolled_back(stack, BEFORE, "a check failed because", "app2's p99 is ", "limit 100 ms")


def test_without_traffic_it_rolls_back_at_the_deadline(stack: Deployment) -> None:
    with rolling(stack, "start", *TO, *QUICK, "--deadline", "10s") as rollout:
        assert rollout.end() == 3
    checks = [one for one in rollout.events if one["kind"].startswith("check ")]
    assert {one["kind"] for one in checks} == {"check inconclusive"}
    assert any(one["text"].startswith("app2 has 0 of 20 samples") for one in checks)
    # If nginx was slow at last, that is the reason.
    has_rolled_back(stack, BEFORE, f"step 1 of 5 (5%) has not passed: {checks[-1]['text']}")


def test_without_metrics_it_rolls_back_at_the_deadline(stack: Deployment) -> None:
    nginx = stack.nginx()
    # Longer than it takes to pause nginx on a busy machine.
    with rolling(stack, "start", *TO, *QUICK, "--deadline", "10s") as rollout:
        rollout.wait_for("set", 1)
        nginx.pause()
        try:
            rollout.wait_for("rolling back")
        finally:
            nginx.unpause()
        assert rollout.end() == 3
    has_rolled_back(stack, BEFORE, "step 1 of 5 (5%) has not passed: no metrics: ", "within 2 s")


def killed_at_every_boundary(
    stack: Deployment, seen: Path, first: Sequence[str], then: Sequence[str]
) -> Mapping[str, Mapping[str, int | None]]:
    """Run a verb, and another as often as it is killed, to the end.

    Returns the weights that nginx serves by after each boundary.
    """
    verb = first
    found: dict[str, Mapping[str, int | None]] = {}
    while True:
        code, out = run(stack, "rollout", *verb, program=(str(DYING), str(seen)))
        assert code == -signal.SIGKILL, out
        found[seen.read_text().splitlines()[-1]] = in_force(stack)
        if not has_record(stack):
            # It was killed after its last effect.
            return found
        verb = then


def test_killed_at_every_boundary_and_resumed(stack: Deployment, tmp_path: Path) -> None:
    words = ("start", *TO, "--steps", "20,100", "--hook", "true", *QUICK)
    with wrk(stack.url, method="GET") as load:
        found = killed_at_every_boundary(stack, tmp_path / "seen", words, ["resume"])
    assert list(found) == [
        "save started 1",
        *("hook before started 1", "save step 1", "up step 1", "hook after step 1"),
        *("hook before step 1", "save step 2", "up step 2", "hook after step 2"),
        *("save closing 2", "up closing 2", "forget closing 2"),
    ]
    assert not load.failures
    assert weights(stack) == in_force(stack) == ALL
    assert history(stack)[-1]["what"] == "rollout: reached"
    stack.expect_no_changes()


def test_killed_at_every_boundary_of_a_rollback(stack: Deployment, tmp_path: Path) -> None:
    with rolling(stack, "start", *TO, "--steps", "20,100", *QUICK) as rollout:
        rollout.wait_for("set", 1)
        rollout.kill()
    found = killed_at_every_boundary(stack, tmp_path / "seen", ["abort"], ["abort"])
    step = {"app1": 4, "app2": 1}
    assert list(found.items()) == [
        ("save step 1", step),
        ("save rolling back 1", step),
        # nginx has the weights ahead of the update.
        ("reroute rolling back 1", BEFORE),
        ("up rolling back 1", BEFORE),
        ("forget rolling back 1", BEFORE),
    ]
    has_rolled_back(stack, BEFORE, "aborted by ")
    stack.expect_no_changes()


def test_weights_of_somebody_else_stay(stack: Deployment) -> None:
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        stack.set("weights.app2", 7)
        assert rollout.end() == 4
        assert "somebody else set the weights to " in rollout.events[-1]["text"]
    theirs = weights(stack)
    assert theirs["app2"] == 7
    assert run(stack, "rollout", "resume")[0] == 4
    assert run(stack, "rollout", "abort")[0] == 4
    assert weights(stack) == theirs
    assert "the weights stay as they are" in run(stack, "rollout", "abort", "--keep")[1]
    assert weights(stack) == theirs
    stack.up()


def test_an_update_by_somebody_else_halts(stack: Deployment) -> None:
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        stack.up()
        assert rollout.end() == 4
        assert "somebody else ran an update: number " in rollout.events[-1]["text"]
    # An abort accepts that update.
    with rolling(stack, "abort") as later:
        assert later.end() == 3
    has_rolled_back(stack, BEFORE)


def test_other_weights_in_nginx_halt_and_are_set_back(stack: Deployment) -> None:
    words = ("start", *TO, "--steps", "20,100", "--step-time", "1h", "--interval", "1s")
    with rolling(stack, *words) as rollout:
        rollout.wait_for("set", 1)
        route = LiveRoute(stack.nginx())
        theirs = reweighted(route.text(), {"app1": 1, "app2": 1})
        assert theirs
        route.apply(theirs)
        assert rollout.end() == 4
        assert "somebody else gave nginx the weights app1=1,app2=1" in rollout.events[-1]["text"]
        assert f"./lb rollout resume --stack {stack.name}" in rollout.events[-1]["text"]
    with rolling(stack, "resume") as later:
        later.wait_for("check inconclusive", 1)
        assert in_force(stack) == {"app1": 4, "app2": 1}
        assert run(stack, "rollout", "abort")[0] == 0
        assert later.end() == 3
    has_rolled_back(stack, BEFORE)


def test_a_broken_stack_file_halts_and_is_overwritten_by_force(stack: Deployment) -> None:
    path = stack.folder / f"Pulumi.{stack.name}.yaml"
    known = {key: str(value) for key, value in stack.config().items()}
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        path.write_text("config: [ # half an edit")
        assert rollout.end() == 4, rollout.events[-3:]
    text = rollout.events[-1]["text"]
    command = f"./lb rollout abort --force --stack {stack.name}"
    assert f"{path.name} is not valid: " in text
    assert command in text
    for verb in (["status"], ["resume"], ["abort"], ["start", *TO]):
        code, out = run(stack, "rollout", *verb)
        assert code == 1, out
        assert command in out
        assert "Traceback" not in out
    code, out = run(stack, "rollout", "abort", "--force")
    assert code == 3, out
    (kept,) = stack.folder.glob("*.broken")
    assert kept.name in out
    assert kept.read_text() == "config: [ # half an edit"
    has_rolled_back(stack, BEFORE, "forced by ")
    assert {key: str(value) for key, value in stack.config().items()} == known
    stack.expect_no_changes()


def test_force_overwrites_the_weights_of_somebody_else(stack: Deployment) -> None:
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        stack.set("weights.app2", 7)
        assert rollout.end() == 4
    command = f"./lb rollout abort --force --stack {stack.name}"
    assert command in rollout.events[-1]["text"]
    assert run(stack, "rollout", "abort", "--force")[0] == 3
    has_rolled_back(stack, BEFORE, "forced by ")


@pytest.mark.parametrize("force", [False, True], ids=["abort", "force"])
def test_a_shortened_history_halts_and_is_led_back(stack: Deployment, force: bool) -> None:
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        (oldest, *_) = sorted((stack._backend / "history").rglob(f"{stack.name}-*.history.json*"))
        for path in oldest.parent.glob(f"{oldest.name.partition('.')[0]}.*"):
            path.unlink()
        assert rollout.end() == 4, rollout.events[-3:]
    assert "not in the history any more" in rollout.events[-1]["text"]
    assert f"./lb rollout abort --stack {stack.name}" in rollout.events[-1]["text"]
    assert run(stack, "rollout", "abort", *(["--force"] if force else []))[0] == 3
    has_rolled_back(stack, BEFORE, "forced by " if force else "aborted by ")
    stack.expect_no_changes()


FAILING = """#!/bin/sh
if [ -e "{broken}" ] && [ "$1" = up ]; then
    echo "error: no engine" >&2
    exit 255
fi
exec "{pulumi}" "$@"
"""


def test_nginx_is_led_back_while_pulumi_fails(stack: Deployment, tmp_path: Path) -> None:
    broken, wrapper = tmp_path / "broken", tmp_path / "pulumi"
    wrapper.write_text(FAILING.format(broken=broken, pulumi=shutil.which("pulumi")))
    wrapper.chmod(0o755)
    stack.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    try:
        with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
            rollout.wait_for("set", 1)
            broken.touch()
            assert run(stack, "rollout", "abort")[0] == 0
            rollout.wait_for("waiting")
            # The waits grow, so that there is time to look.
            assert in_force(stack) == BEFORE
            broken.unlink()
            assert rollout.end() == 3, rollout.events[-3:]
    finally:
        del stack.environment["PATH"]
    has_rolled_back(stack, BEFORE, "aborted from another terminal")
    stack.expect_no_changes()


def test_ctrl_c_asks_on_a_terminal_and_halts_without_one(stack: Deployment) -> None:
    with rolling(stack, "start", *TO, "--step-time", "1h", "--interval", "1s") as rollout:
        rollout.wait_for("set", 1)
        rollout.process.send_signal(signal.SIGINT)
        assert rollout.end() == 4
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
    has_rolled_back(stack, BEFORE, "rolled back by ")


def test_five_healthy_rollouts_with_random_plans(stack: Deployment) -> None:
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
        target = ",".join(f"{app}={weight}" for app, weight in to.items())
        # With more requests an app may be slower for a while; then the step waits.
        compared = ("--compare", "--failure-limit", "1000")
        with (
            wrk(stack.url, method="GET", rate=80) as load,
            rolling(stack, "start", "--to", target, *plan, *QUICK, *compared) as rollout,
        ):
            assert rollout.end() == 0, (before, to, plan, rollout.events[-3:])
        assert not load.failures
        assert weights(stack) == in_force(stack) == to
        before = to


def test_the_history_table(stack: Deployment) -> None:
    code, out = run(stack, "history")
    assert code == 0
    updates = history(stack)
    assert len(out.splitlines()) == 1 + len(updates) + 1
    assert [one["number"] for one in updates] == list(range(1, len(updates) + 1))
    assert all(one["who"] for one in updates if str(one["what"]).startswith("rollout"))


def test_rollback_on_a_stack_without_the_sample_apps(own_stack: Deployment) -> None:
    stack, folder = own_stack, own_stack.folder / "apps"
    for sample in ("app1", "app2"):
        shutil.rmtree(folder / sample)
    for app in ("web", "shop"):
        apps.create(folder, app)
    first, second = {"web": 3, "shop": 1}, {"web": 1, "shop": 3}
    for each in (first, second):
        stack.set_weights(**each)
        stack.up()
        assert in_force(stack) == each
    for verb, expected in ((["rollback"], first), (["rollback", "2"], second)):
        code, out = run(stack, *verb)
        assert code == 0, out
        assert weights(stack) == in_force(stack) == expected
        assert history(stack)[-1]["what"] == "rollback"
