"""The loop of a rollout, to each of its endings, on a simulated stack and clock."""

import random
from collections.abc import Callable

import pytest

from loadbalancer.rollout.control import Answer, Request
from loadbalancer.rollout.errors import BusyError, Ending, UpdateError
from loadbalancer.state.history import last_stable, same
from loadbalancer.state.message import Kind
from tests.rollout import START, App, FakeEnvironment, FakeStack, Killed, abort, resume, run, start

BEFORE = {"app1": 100, "app2": 0}
TARGET = {"app1": 0, "app2": 100}


def has_reached(stack: FakeStack) -> None:
    assert stack.weights == stack.route == TARGET
    assert not stack.record
    assert stack.updates()[-1].message.kind is Kind.REACHED


def has_rolled_back(stack: FakeStack) -> None:
    assert stack.weights == stack.route == BEFORE
    assert not stack.record
    last = stack.updates()[-1]
    assert last.message.kind is Kind.ROLLED_BACK
    assert last.succeeded


def test_step_by_step_to_the_target() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    assert run(environment, start(stack)) is Ending.REACHED
    has_reached(stack)
    assert [update.weights for update in stack.updates()[1:]] == [
        {"app1": 9, "app2": 1},
        {"app1": 1, "app2": 1},
        TARGET,
        TARGET,
    ]
    texts = stack.messages()
    assert texts[1] == "Step 1 of 3 (10%) from app1=100,app2=0 to app1=0,app2=100: app1=9,app2=1."
    assert texts[2].startswith(
        "Step 2 of 3 (50%) from app1=100,app2=0 to app1=0,app2=100: app1=1,app2=1. "
        "Step 1 passed: app2: "
    )
    assert "requests, 0.00% errors, p99 " in texts[2]
    assert texts[4].startswith("Reached app1=0,app2=100, from app1=100,app2=0. Step 3 passed: ")
    # Each step was watched for as long as the plan says, and not much longer.
    assert 90 <= stack.clock - START <= 110
    assert last_stable(stack.updates(), TARGET) == stack.updates()[0]


@pytest.mark.parametrize("seed", range(50))
def test_healthy_rollouts_with_random_plans(seed: int) -> None:
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
    # Every app fails one request of a thousand.
    stack.apps = {app: App(errors=0.001, slowest=0.3) for app in stack.apps}
    plan = chance.choice(plans)
    progress = start(stack, to=to, deadline="10h", compare=chance.random() < 0.5, **plan)
    environment = FakeEnvironment(stack)
    assert run(environment, progress) is Ending.REACHED, environment.events[-3:]
    assert stack.weights == stack.route == to


@pytest.mark.parametrize(
    ("failing", "why"),
    [
        (App(errors=0.05), "app2 failed "),
        (App(slowest=2), "app2's p99 is "),
        (App(failed_attempts=0.05), "attempts at app2 failed"),
    ],
)
def test_a_failing_app_is_rolled_back(failing: App, why: str) -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack)
    fell: list[float] = []

    def fall(environment: FakeEnvironment) -> None:
        stack.apps["app2"] = failing
        fell.append(stack.clock)

    environment.on["set 2"] = fall
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    texts = stack.messages()[-1]
    assert why in texts
    assert "3 checks in a row failed" in texts
    assert "limit " in texts
    # Three intervals, and the update that leads back.
    assert stack.clock - fell[0] <= 3 * 5 + 5
    assert environment.kinds().count("check failed") == 3
    # The rolled back weights are not stable, those before are.
    assert same(stack.updates()[-1].weights or {}, BEFORE)
    assert last_stable(stack.updates(), BEFORE) is None


def test_compared_with_the_others() -> None:
    for compare, ending in ((True, Ending.ROLLED_BACK), (False, Ending.REACHED)):
        stack = FakeStack(rate=500)
        stack.apps["app2"].slowest = 0.4
        assert run(FakeEnvironment(stack), start(stack, compare=compare)) is ending
    # Both fail alike, below the threshold: app2 is not worse than app1.
    stack = FakeStack(rate=500, apps={"app1": App(errors=0.05), "app2": App(errors=0.05)})
    environment = FakeEnvironment(stack)
    assert run(environment, start(stack, compare=True, maxErrorRate="20%")) is Ending.REACHED


def test_one_failed_check_does_not_roll_back() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)

    def fall(environment: FakeEnvironment) -> None:
        stack.apps["app2"].errors = 1.0

    def rise(environment: FakeEnvironment) -> None:
        stack.apps["app2"].errors = 0.0

    environment.on = {"set 2": fall, "check failed 2": rise}
    assert run(environment, start(stack)) is Ending.REACHED
    assert environment.kinds().count("check failed") == 1


@pytest.mark.parametrize("what", ["no traffic", "no metrics", "few"])
def test_without_verdicts_a_step_rolls_back_at_its_deadline(what: str) -> None:
    stack = FakeStack(rate={"no traffic": 0.0, "no metrics": 100.0, "few": 1.0}[what])
    stack.unreachable = what == "no metrics"
    environment = FakeEnvironment(stack)
    assert run(environment, start(stack, deadline="200s")) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "check passed" not in environment.kinds()
    assert 230 <= stack.clock - START <= 240
    texts = stack.messages()[-1]
    assert "step 1 of 3 (10%) has not passed: " in texts
    assert ("no metrics" if what == "no metrics" else "of 100 samples") in texts


def test_a_rollout_continues_when_metrics_return() -> None:
    stack = FakeStack(unreachable=True)
    environment = FakeEnvironment(stack)

    def back(environment: FakeEnvironment) -> None:
        stack.unreachable = False

    environment.on["check inconclusive"] = back
    assert run(environment, start(stack)) is Ending.REACHED


def test_a_check_is_inconclusive_after_counters_were_reset() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["check passed 2"] = lambda _: stack.restart_nginx()
    assert run(environment, start(stack)) is Ending.REACHED
    assert "counters were reset" in environment.last_text("check inconclusive")


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


@pytest.mark.parametrize("when", ["started", "setting 2", "set 2", "check passed 2", "passed 2"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (weights, "somebody else set the weights to app1=1,app2=2 in the config"),
        (other, "somebody else changed port in the config"),
        (up, "somebody else ran an update: number "),
        (up_weights, "somebody else set the weights to app1=1,app2=2"),
    ],
)
def test_a_change_by_somebody_else_is_not_overwritten(
    change: Callable[[FakeStack], None], why: str, when: str
) -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    theirs: list[object] = []

    def interfere(environment: FakeEnvironment) -> None:
        change(stack)
        theirs.extend((dict(stack.weights), dict(stack.others)))

    environment.on[when] = interfere
    assert run(environment, start(stack)) is Ending.HALTED
    assert why in environment.last_text("halted")
    assert [stack.weights, stack.others] == theirs
    record = environment.record()
    assert record
    assert (record.state, record.reason) == ("halted", environment.last_text("halted"))
    # Nor does a resumed rollout overwrite it.
    assert resume(FakeEnvironment(stack)) is Ending.HALTED
    assert [stack.weights, stack.others] == theirs


def test_another_route_in_nginx_halts() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["check passed 2"] = lambda _: route(stack)
    assert run(environment, start(stack)) is Ending.HALTED
    assert "somebody else gave nginx the weights app1=1,app2=2" in environment.last_text("halted")


def test_a_rollback_does_not_overwrite_a_change_by_somebody_else() -> None:
    stack = FakeStack(rate=500)
    stack.apps["app2"].errors = 1
    environment = FakeEnvironment(stack)
    progress = start(stack, failureLimit=1)
    environment.on["check failed"] = lambda _: up_weights(stack)
    assert run(environment, progress) is Ending.HALTED
    assert "not rolled back although a check failed" in environment.last_text("halted")
    assert stack.weights == stack.route == {"app1": 1, "app2": 2}


def test_a_record_of_another_process_is_left_to_it() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    progress = start(stack)
    taken = progress.model_copy(deep=True)
    taken.holder.pid = 77

    def take(environment: FakeEnvironment) -> None:
        stack.record = taken.write()

    environment.on["check passed 1"] = take
    assert run(environment, progress) is Ending.HALTED
    assert stack.record == taken.write()


def effects_of_a_rollout(failing: bool) -> int:
    environment = killed(None, failing)
    run(environment, start(environment.stack, hook="true"))
    return environment.effects


def killed(at: int | None, failing: bool) -> FakeEnvironment:
    stack = FakeStack()
    environment = FakeEnvironment(stack, killed_at=at)

    def fall(environment: FakeEnvironment) -> None:
        stack.apps["app2"].errors = 1.0

    if failing:
        environment.on["set 2"] = fall
    return environment


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("resumes", [False, True])
def test_killed_at_every_boundary(failing: bool, resumes: bool) -> None:
    boundaries = effects_of_a_rollout(failing)
    assert boundaries >= 20
    for at in range(1, boundaries + 1):
        environment = killed(at, failing)
        stack = environment.stack
        with pytest.raises(Killed):
            run(environment, start(stack, hook="true"))
        if not stack.record:
            # It was the last effect.
            assert at == boundaries
            continue
        later = FakeEnvironment(stack)
        ending = resume(later) if resumes else abort(later)
        # A rollout that was rolling back rolls back when it is resumed.
        returning = failing and stack.updates()[-1].message.kind is Kind.ROLLED_BACK
        if returning or not resumes:
            assert ending is Ending.ROLLED_BACK, (at, later.events)
            has_rolled_back(stack)
        else:
            assert ending is Ending.REACHED, (at, later.events)
            assert not stack.apps["app2"].errors
            has_reached(stack)


def test_killed_eleven_times() -> None:
    stack = FakeStack()
    progress, environment = start(stack), FakeEnvironment(stack, killed_at=4)
    with pytest.raises(Killed):
        run(environment, progress)
    for _ in range(10):
        with pytest.raises(Killed):
            resume(FakeEnvironment(stack, killed_at=4))
    assert resume(FakeEnvironment(stack)) is Ending.REACHED
    has_reached(stack)


def test_pause_resume_promote_and_abort() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)

    def pause(environment: FakeEnvironment) -> None:
        environment.requests = [Request.PAUSE, *[None] * 500, Request.RESUME]  # type: ignore[list-item]

    environment.on["set 2"] = pause
    assert run(environment, start(stack, deadline="60s")) is Ending.REACHED
    assert stack.clock - START > 580
    assert environment.kinds().count("paused") == 1

    stack = FakeStack(rate=0)
    environment = FakeEnvironment(stack)
    for step in (1, 2, 3):
        environment.on[f"set {step}"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack)) is Ending.REACHED
    assert "Step 2 was promoted: " in stack.messages()[-2]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 1"] = lambda env: env.requests.append(Request.PROMOTE_FULL)
    assert run(environment, start(stack)) is Ending.REACHED
    assert [one.weights for one in stack.updates()[1:]] == [{"app1": 9, "app2": 1}, TARGET, TARGET]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 2"] = lambda env: env.requests.append(Request.ABORT)
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "aborted from another terminal" in stack.messages()[-1]


def test_a_paused_rollout_is_still_checked() -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack)

    def pause(environment: FakeEnvironment) -> None:
        environment.requests.append(Request.PAUSE)
        stack.apps["app2"].errors = 0.1

    environment.on["set 2"] = pause
    assert run(environment, start(stack)) is Ending.ROLLED_BACK


def test_ctrl_c() -> None:
    for answer, ending in (
        (Answer.CONTINUE, Ending.REACHED),
        (Answer.HALT, Ending.HALTED),
        (Answer.ROLL_BACK, Ending.ROLLED_BACK),
    ):
        stack = FakeStack()
        environment = FakeEnvironment(stack)
        environment.on["set 2"] = lambda env, answer=answer: env.interruptions.append(answer)  # type: ignore[misc]
        assert run(environment, start(stack)) is ending
        if answer is Answer.HALT:
            assert stack.weights == stack.route == {"app1": 1, "app2": 1}
            assert resume(FakeEnvironment(stack)) is Ending.REACHED
            assert "Resumed by somebody@somewhere." in stack.messages()[3]


def test_confirmations_and_hooks() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack, answers=[True, False])
    assert run(environment, start(stack, confirm="2,3")) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "step 3 of 3 (100%) was rejected" in stack.messages()[-1]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["confirm"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack, confirm="2")) is Ending.REACHED

    for when, step in (("before", "1"), ("before", "2"), ("after", "1"), ("after", "3")):
        stack = FakeStack()
        environment = FakeEnvironment(stack, codes={(when, step): 7})
        assert run(environment, start(stack, hook="probe")) is Ending.ROLLED_BACK
        has_rolled_back(stack)
        assert f"the hook {when} step {step} of 3" in stack.messages()[-1]
        assert environment.hooks[-1]["ROLLOUT_STEP"] == step
        assert environment.hooks[-1]["ROLLOUT_BEFORE"] == "app1=100,app2=0"


def test_failing_updates() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["setting 2"] = lambda env: env.up_fails.append(
        UpdateError("app2 is not healthy")
    )
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "the update to step 2 of 3 (50%) failed: app2 is not healthy" in stack.messages()[-1]

    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["setting 2"] = lambda env: env.up_fails.append(BusyError("locked"))
    assert run(environment, start(stack)) is Ending.HALTED

    # A rollback that fails is attempted again, then halts, and can be resumed.
    for failures, ending in ((2, Ending.ROLLED_BACK), (3, Ending.HALTED)):
        stack = FakeStack()
        environment = FakeEnvironment(stack)
        environment.on["set 2"] = lambda env: env.requests.append(Request.ABORT)
        failed = [UpdateError("no engine")] * failures
        environment.on["rolling back"] = lambda env, failed=failed: env.up_fails.extend(failed)  # type: ignore[misc]
        assert run(environment, start(stack)) is ending
        if ending is Ending.HALTED:
            assert resume(FakeEnvironment(stack)) is Ending.ROLLED_BACK
        has_rolled_back(stack)
