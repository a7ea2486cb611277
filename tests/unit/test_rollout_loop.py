"""The loop of a rollout, to each of its endings, on a simulated stack and clock."""

import random

import pytest

from loadbalancer.rollout.control import Request
from loadbalancer.rollout.errors import Ending
from loadbalancer.state.history import last_stable, same
from loadbalancer.state.message import Kind
from tests.endings import BEFORE, TARGET, has_reached, has_rolled_back
from tests.rollout import START, App, FakeEnvironment, FakeStack, Killed, abort, resume, run, start


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


def test_secret_weights_are_in_no_message() -> None:
    stack = FakeStack(weights={"app1": 337, "app2": 0})
    environment = FakeEnvironment(stack)
    progress = start(stack, to={"app1": 0, "app2": 663}, steps="50,100", confirm="2")
    progress.secret = True
    environment.on["confirm"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, progress) is Ending.REACHED
    texts = [*stack.messages(), *(event.text for event in environment.events)]
    assert not [text for text in texts if "app1=" in text or "663" in text]
    assert not any(event.weights for event in environment.events)
    assert "Reached [secret], from [secret]." in stack.messages()[-1]
