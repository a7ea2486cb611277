"""A rollout's endings, on a simulated stack and clock."""

import random
from collections.abc import Callable

import pytest

from loadbalancer.rollout.environment import Answer, BusyError, Request, UpdateError
from loadbalancer.rollout.errors import Ending
from loadbalancer.state.history import last_stable, same
from loadbalancer.state.message import Kind
from tests.rollout import START, App, FakeStack, FakeWorld, Killed, abort, begin, resume, run

BEFORE = {"app1": 100, "app2": 0}
TARGET = {"app1": 0, "app2": 100}


def ends_reached(stack: FakeStack) -> None:
    assert stack.weights == stack.route == TARGET
    assert not stack.record
    assert stack.updates()[-1].message.kind is Kind.REACHED


def ends_before(stack: FakeStack) -> None:
    assert stack.weights == stack.route == BEFORE
    assert not stack.record
    last = stack.updates()[-1]
    assert last.message.kind is Kind.BACK
    assert last.succeeded


def test_step_by_step_to_the_target() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    assert run(world, begin(stack)) is Ending.REACHED
    ends_reached(stack)
    assert [update.weights for update in stack.updates()[1:]] == [
        {"app1": 9, "app2": 1},
        {"app1": 1, "app2": 1},
        TARGET,
        TARGET,
    ]
    told = stack.messages()
    assert told[1] == "Step 1 of 3 (10%) from app1=100,app2=0 to app1=0,app2=100: app1=9,app2=1."
    assert told[2].startswith(
        "Step 2 of 3 (50%) from app1=100,app2=0 to app1=0,app2=100: app1=1,app2=1. "
        "Step 1 passed: app2: "
    )
    assert "requests, 0.00% errors, p99 " in told[2]
    assert told[4].startswith("Reached app1=0,app2=100, from app1=100,app2=0. Step 3 passed: ")
    # Each step was watched for as long as the plan says, and not much longer.
    assert 90 <= stack.clock - START <= 110
    assert last_stable(stack.updates(), TARGET) == stack.updates()[0]


def test_fifty_healthy_rollouts_with_random_plans() -> None:
    for seed in range(50):
        chance = random.Random(seed)  # noqa: S311
        before = {"app1": chance.randint(1, 1000), "app2": chance.randint(0, 1000)}
        to = {"app1": chance.randint(0, 1000), "app2": chance.randint(1, 1000)}
        parts = sorted(chance.sample(range(1, 100), chance.randint(0, 6)))
        plans: list[dict[str, object]] = [
            {"steps": [*parts, 100]},
            {"steps": None, "linear": f"{chance.randint(10, 60)}%/{chance.randint(1, 90)}s"},
            {"steps": None, "canary": f"{chance.randint(1, 50)}%/{chance.randint(1, 600)}s"},
            {"steps": None, "atOnce": True},
        ]
        stack = FakeStack(weights=before, rate=chance.uniform(2, 40), chance=chance)
        # Every app fails one request of a thousand, which is no fault of the new one.
        stack.apps = {app: App(errors=0.001, slowest=0.3) for app in stack.apps}
        plan = chance.choice(plans)
        begun = begin(stack, to=to, deadline="10h", compare=chance.random() < 0.5, **plan)
        world = FakeWorld(stack)
        assert run(world, begun) is Ending.REACHED, (seed, world.events[-3:])
        assert stack.weights == stack.route == to


@pytest.mark.parametrize(
    ("sick", "why"),
    [
        (App(errors=0.05), "app2 failed "),
        (App(slowest=2), "app2's p99 is "),
        (App(failed_tries=0.05), "tries at app2 failed"),
    ],
)
def test_a_sick_app_is_taken_back(sick: App, why: str) -> None:
    stack = FakeStack(rate=500)
    world = FakeWorld(stack)
    fell: list[float] = []

    def fall(world: FakeWorld) -> None:
        stack.apps["app2"] = sick
        fell.append(stack.clock)

    world.on["set 2"] = fall
    assert run(world, begin(stack)) is Ending.ROLLED_BACK
    ends_before(stack)
    told = stack.messages()[-1]
    assert why in told
    assert "3 checks in a row failed" in told
    assert "limit " in told
    # Three intervals, and the update that leads back.
    assert stack.clock - fell[0] <= 3 * 5 + 5
    assert world.kinds().count("check failed") == 3
    # What was taken back is not stable, what it went back to is.
    assert same(stack.updates()[-1].weights or {}, BEFORE)
    assert last_stable(stack.updates(), BEFORE) is None


def test_compared_with_the_others() -> None:
    for compare, ending in ((True, Ending.ROLLED_BACK), (False, Ending.REACHED)):
        stack = FakeStack(rate=500)
        stack.apps["app2"].slowest = 0.4
        assert run(FakeWorld(stack), begin(stack, compare=compare)) is ending
    # Both fail alike: that is no fault of the new one, as long as the threshold has room.
    stack = FakeStack(rate=500, apps={"app1": App(errors=0.05), "app2": App(errors=0.05)})
    world = FakeWorld(stack)
    assert run(world, begin(stack, compare=True, maxErrorRate="20%")) is Ending.REACHED


def test_one_bad_window_is_no_verdict() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)

    def fall(world: FakeWorld) -> None:
        stack.apps["app2"].errors = 1.0

    def rise(world: FakeWorld) -> None:
        stack.apps["app2"].errors = 0.0

    world.on = {"set 2": fall, "check failed 2": rise}
    assert run(world, begin(stack)) is Ending.REACHED
    assert world.kinds().count("check failed") == 1


@pytest.mark.parametrize("what", ["no traffic", "no metrics", "few"])
def test_without_figures_a_step_is_held_until_its_deadline(what: str) -> None:
    stack = FakeStack(rate={"no traffic": 0.0, "no metrics": 100.0, "few": 1.0}[what])
    stack.unreachable = what == "no metrics"
    world = FakeWorld(stack)
    assert run(world, begin(stack, deadline="200s")) is Ending.ROLLED_BACK
    ends_before(stack)
    assert "check passed" not in world.kinds()
    assert 230 <= stack.clock - START <= 240
    told = stack.messages()[-1]
    assert "step 1 of 3 (10%) has not passed: " in told
    assert ("no metrics" if what == "no metrics" else "of 100 samples") in told


def test_metrics_that_come_back_go_on() -> None:
    stack = FakeStack(unreachable=True)
    world = FakeWorld(stack)

    def back(world: FakeWorld) -> None:
        stack.unreachable = False

    world.on["check hold"] = back
    assert run(world, begin(stack)) is Ending.REACHED


def test_an_nginx_that_begins_anew_holds_a_check() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["check passed 2"] = lambda _: stack.restart_nginx()
    assert run(world, begin(stack)) is Ending.REACHED
    assert "nginx began to count anew" in world.told("check hold")


def weights(stack: FakeStack) -> None:
    stack.weights = {"app1": 1, "app2": 2}


def other(stack: FakeStack) -> None:
    stack.others["port"] = "9f9f"


def up(stack: FakeStack) -> None:
    stack.up("Fix a typo")


def up_weights(stack: FakeStack) -> None:
    weights(stack)
    stack.up("Something else")


def route(stack: FakeStack) -> None:
    stack.route = {"app1": 1, "app2": 2}


@pytest.mark.parametrize("when", ["begun", "setting 2", "set 2", "check passed 2", "passed 2"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (weights, "somebody else set the weights to app1=1,app2=2 in the config"),
        (other, "somebody else changed port in the config"),
        (up, "somebody else ran an update: number "),
        (up_weights, "somebody else set the weights to app1=1,app2=2"),
    ],
)
def test_what_somebody_else_changed_is_not_overwritten(
    change: Callable[[FakeStack], None], why: str, when: str
) -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    theirs: list[object] = []

    def interfere(world: FakeWorld) -> None:
        change(stack)
        theirs.extend((dict(stack.weights), dict(stack.others)))

    world.on[when] = interfere
    assert run(world, begin(stack)) is Ending.HELD
    assert why in world.told("held")
    assert [stack.weights, stack.others] == theirs
    record = world.record()
    assert record
    assert (record.state, record.reason) == ("held", world.told("held"))
    # Nor does anybody who goes on overwrite it.
    assert resume(FakeWorld(stack)) is Ending.HELD
    assert [stack.weights, stack.others] == theirs


def test_another_route_in_nginx_is_seen() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["check passed 2"] = lambda _: route(stack)
    assert run(world, begin(stack)) is Ending.HELD
    assert "somebody else gave nginx the weights app1=1,app2=2" in world.told("held")


def test_a_sick_app_is_not_taken_back_over_what_somebody_else_did() -> None:
    stack = FakeStack(rate=500)
    stack.apps["app2"].errors = 1
    world = FakeWorld(stack)
    begun = begin(stack, failureLimit=1)
    world.on["check failed"] = lambda _: up_weights(stack)
    assert run(world, begun) is Ending.HELD
    assert "not taken back though a check failed" in world.told("held")
    assert stack.weights == stack.route == {"app1": 1, "app2": 2}


def test_a_record_that_another_process_took_is_left_to_it() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    begun = begin(stack)
    taken = begun.model_copy(deep=True)
    taken.holder.pid = 77

    def take(world: FakeWorld) -> None:
        stack.record = taken.write()

    world.on["check passed 1"] = take
    assert run(world, begun) is Ending.HELD
    assert stack.record == taken.write()


def effects_of_a_rollout(sick: bool) -> int:
    world = dying(None, sick)
    run(world, begin(world.stack, hook="true"))
    return world.effects


def dying(at: int | None, sick: bool) -> FakeWorld:
    stack = FakeStack()
    world = FakeWorld(stack, dies_at=at)

    def fall(world: FakeWorld) -> None:
        stack.apps["app2"].errors = 1.0

    if sick:
        world.on["set 2"] = fall
    return world


@pytest.mark.parametrize("sick", [False, True])
@pytest.mark.parametrize("resumes", [False, True])
def test_killed_at_every_boundary(sick: bool, resumes: bool) -> None:
    boundaries = effects_of_a_rollout(sick)
    assert boundaries >= 20
    for at in range(1, boundaries + 1):
        world = dying(at, sick)
        stack = world.stack
        with pytest.raises(Killed):
            run(world, begin(stack, hook="true"))
        if not stack.record:
            # It was the very last thing to do.
            assert at == boundaries
            continue
        later = FakeWorld(stack)
        ending = resume(later) if resumes else abort(later)
        # Once it is on the way back it goes there, whoever goes on.
        returning = sick and stack.updates()[-1].message.kind is Kind.BACK
        if returning or not resumes:
            assert ending is Ending.ROLLED_BACK, (at, later.events)
            ends_before(stack)
        else:
            assert ending is Ending.REACHED, (at, later.events)
            assert not stack.apps["app2"].errors
            ends_reached(stack)


def test_killed_again_and_again() -> None:
    stack = FakeStack()
    begun, world = begin(stack), FakeWorld(stack, dies_at=4)
    with pytest.raises(Killed):
        run(world, begun)
    for _ in range(10):
        with pytest.raises(Killed):
            resume(FakeWorld(stack, dies_at=4))
    assert resume(FakeWorld(stack)) is Ending.REACHED
    ends_reached(stack)


def test_pause_resume_promote_and_abort() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)

    def pause(world: FakeWorld) -> None:
        world.asked = [Request.PAUSE, *[None] * 500, Request.RESUME]  # type: ignore[list-item]

    world.on["set 2"] = pause
    assert run(world, begin(stack, deadline="60s")) is Ending.REACHED
    assert stack.clock - START > 580
    assert world.kinds().count("paused") == 1

    stack = FakeStack(rate=0)
    world = FakeWorld(stack)
    for step in (1, 2, 3):
        world.on[f"set {step}"] = lambda world: world.asked.append(Request.PROMOTE)
    assert run(world, begin(stack)) is Ending.REACHED
    assert "Step 2 was promoted: " in stack.messages()[-2]

    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["set 1"] = lambda world: world.asked.append(Request.FINISH)
    assert run(world, begin(stack)) is Ending.REACHED
    assert [one.weights for one in stack.updates()[1:]] == [{"app1": 9, "app2": 1}, TARGET, TARGET]

    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["set 2"] = lambda world: world.asked.append(Request.ABORT)
    assert run(world, begin(stack)) is Ending.ROLLED_BACK
    ends_before(stack)
    assert "aborted from another terminal" in stack.messages()[-1]


def test_a_paused_rollout_still_looks() -> None:
    stack = FakeStack(rate=500)
    world = FakeWorld(stack)

    def pause(world: FakeWorld) -> None:
        world.asked.append(Request.PAUSE)
        stack.apps["app2"].errors = 0.1

    world.on["set 2"] = pause
    assert run(world, begin(stack)) is Ending.ROLLED_BACK


def test_ctrl_c() -> None:
    for answer, ending in (
        (Answer.GO_ON, Ending.REACHED),
        (Answer.HOLD, Ending.HELD),
        (Answer.BACK, Ending.ROLLED_BACK),
    ):
        stack = FakeStack()
        world = FakeWorld(stack)
        world.on["set 2"] = lambda world, answer=answer: world.presses.append(answer)  # type: ignore[misc]
        assert run(world, begin(stack)) is ending
        if answer is Answer.HOLD:
            assert stack.weights == stack.route == {"app1": 1, "app2": 1}
            assert resume(FakeWorld(stack)) is Ending.REACHED
            assert "Resumed by somebody@somewhere." in stack.messages()[3]


def test_gates() -> None:
    stack = FakeStack()
    world = FakeWorld(stack, answers=[True, False])
    assert run(world, begin(stack, confirm="2,3")) is Ending.ROLLED_BACK
    ends_before(stack)
    assert "step 3 of 3 (100%) was refused" in stack.messages()[-1]

    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["confirm"] = lambda world: world.asked.append(Request.PROMOTE)
    assert run(world, begin(stack, confirm="2")) is Ending.REACHED

    for when, step in (("before", "1"), ("before", "2"), ("after", "1"), ("after", "3")):
        stack = FakeStack()
        world = FakeWorld(stack, codes={(when, step): 7})
        assert run(world, begin(stack, hook="probe")) is Ending.ROLLED_BACK
        ends_before(stack)
        assert f"the hook {when} step {step} of 3" in stack.messages()[-1]
        assert world.hooks[-1]["ROLLOUT_STEP"] == step
        assert world.hooks[-1]["ROLLOUT_BEFORE"] == "app1=100,app2=0"


def test_updates_that_fail() -> None:
    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["setting 2"] = lambda world: world.up_fails.append(UpdateError("app2 is not healthy"))
    assert run(world, begin(stack)) is Ending.ROLLED_BACK
    ends_before(stack)
    assert "the update to step 2 of 3 (50%) failed: app2 is not healthy" in stack.messages()[-1]

    stack = FakeStack()
    world = FakeWorld(stack)
    world.on["setting 2"] = lambda world: world.up_fails.append(BusyError("locked"))
    assert run(world, begin(stack)) is Ending.HELD

    # A way back that fails is tried again, and then left to a person, who can repeat it.
    for failures, ending in ((2, Ending.ROLLED_BACK), (3, Ending.HELD)):
        stack = FakeStack()
        world = FakeWorld(stack)
        world.on["set 2"] = lambda world: world.asked.append(Request.ABORT)
        failed = [UpdateError("no engine")] * failures
        world.on["back"] = lambda world, failed=failed: world.up_fails.extend(failed)  # type: ignore[misc]
        assert run(world, begin(stack)) is ending
        if ending is Ending.HELD:
            assert resume(FakeWorld(stack)) is Ending.ROLLED_BACK
        ends_before(stack)
