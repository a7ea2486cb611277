"""The loop of a rollout, to each of its endings, on a simulated stack and clock."""

import random
from collections.abc import Callable

import pytest

from loadbalancer.rollout.control import Answer, Command, Reply, Request
from loadbalancer.rollout.errors import BusyError, Ending, UpdateError
from loadbalancer.rollout.way_back import ROLLBACK_WAITS
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
    assert record.state == "halted"
    # The event also names the commands that lead on.
    reason, _, way_on = environment.last_text("halted").partition(record.reason)
    assert not reason
    assert "./lb rollout abort --" in way_on or "./lb rollout resume --stack dev" in way_on
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
        environment.requests = [Request.PAUSE, *[None] * 500, Request.RESUME]

    environment.on["set 2"] = pause
    assert run(environment, start(stack, deadline="60s")) is Ending.REACHED
    assert stack.clock - START > 580
    assert environment.kinds().count("paused") == 1

    stack = FakeStack(rate=0)
    environment = FakeEnvironment(stack)
    for step in (1, 2, 3):
        environment.on[f"set {step}"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack)) is Ending.REACHED
    assert "Step 2 was promoted without a good check (not checked yet): " in stack.messages()[-2]

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


def get_sick(environment: FakeEnvironment) -> None:
    environment.stack.apps["app2"].errors = 0.5


def test_an_app_is_watched_while_a_question_waits() -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack)
    environment.on["confirm"] = get_sick
    assert run(environment, start(stack, confirm="2")) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "3 checks in a row failed" in stack.messages()[-1]
    assert "confirm" in environment.kinds()
    # Before the first step there is nothing to watch, and a healthy app goes on waiting.
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    waits: list[Request | Command | None] = [None] * 1000
    environment.on["confirm"] = lambda env: env.requests.extend([*waits, Request.PROMOTE])
    assert run(environment, start(stack, confirm="1")) is Ending.REACHED
    assert stack.clock - START > 1000


def test_an_app_is_watched_while_a_hook_runs() -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack, hook_takes=600)
    # The hook after the step runs then.
    environment.on["passed 2"] = get_sick
    assert run(environment, start(stack, hook="probe")) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "from step 2 of 3 (50%) to " in stack.messages()[-1]
    assert "3 checks in a row failed" in stack.messages()[-1]


@pytest.mark.parametrize("weight", [1, 100])
@pytest.mark.parametrize("rate", [0.0, 0.1, 500.0])
@pytest.mark.parametrize("limit", ["500ms", "60s"])
def test_a_version_that_hangs_is_led_back_in_time(weight: int, rate: float, limit: str) -> None:
    stack = FakeStack(rate=rate)
    stack.apps["app2"] = App(hangs=True, answers=frozenset())
    environment = FakeEnvironment(stack)
    began: list[float] = []
    environment.on["set 1"] = lambda env: began.append(env.stack.clock)
    steps = f"{weight},100" if weight < 100 else "100"
    assert run(environment, start(stack, steps=steps, maxP99=limit)) is Ending.ROLLED_BACK
    has_rolled_back(stack)
    assert "app2 " in stack.messages()[-1]
    assert "answered" in stack.messages()[-1]
    # Three intervals, and the update that leads back.
    assert stack.clock - began[0] <= 3 * 5 + 5


def test_requests_that_hang_are_found_although_the_app_answers_a_probe() -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack)
    stack.apps["app2"] = App(hangs=True, answers=frozenset({"/", "/healthz"}))
    stack.apps["app2"].answers = frozenset({"/healthz"})
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    assert "app2 answered none of about " in stack.messages()[-1]


@pytest.mark.parametrize("at", [0.05, 5.0])
def test_a_version_that_fails_most_requests_is_led_back_whatever_their_number(at: float) -> None:
    stack = FakeStack(rate=at * 10)
    stack.apps["app2"].errors = 1.0
    environment = FakeEnvironment(stack)
    assert run(environment, start(stack, minSamples=1_000_000)) is Ending.ROLLED_BACK
    assert environment.kinds().count("check failed") == 3
    # 10 % of the requests are its own: three of them, or three checks.
    assert stack.clock - START <= max(3 / at * 4, 3 * 5 + 5)


def test_slow_clients_do_not_lead_back() -> None:
    stack = FakeStack()
    stack.apps["app2"].client = 40.0
    assert run(FakeEnvironment(stack), start(stack)) is Ending.REACHED


def lose_metrics(stack: FakeStack) -> None:
    stack.unreachable = True


def lose_traffic(stack: FakeStack) -> None:
    stack.rate = 0.0


def restart_nginx_always(stack: FakeStack) -> None:
    stack.restarts = True


@pytest.mark.parametrize("lose", [lose_metrics, lose_traffic, restart_nginx_always])
def test_a_step_does_not_pass_on_a_check_of_before(lose: Callable[[FakeStack], None]) -> None:
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack)
    environment.on["check passed 1"] = lambda env: lose(env.stack)
    assert run(environment, start(stack, deadline="300s")) is Ending.ROLLED_BACK
    assert "step 1 of 3 (10%) has not passed: " in stack.messages()[-1]
    assert environment.kinds().count("check passed") == 1
    assert stack.clock - START >= 330


def test_a_promotion_is_for_one_step() -> None:
    """A second one, sent before the first had its effect, is refused."""
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    late: list[Command] = []

    def twice(environment: FakeEnvironment) -> None:
        late.append(Command(Request.PROMOTE, "0123abcd", 1))
        environment.requests += [late[0], late[0]]

    environment.on["set 1"] = twice
    assert run(environment, start(stack)) is Ending.REACHED
    done, refused = environment.replies
    assert done == Reply(
        "step 1 of 3 (10%) was promoted without a good check (not checked yet), to the next step",
        done=True,
    )
    assert not refused.done
    assert "it is from step 1, and the rollout is at step 2 of 3 already" in refused.text
    assert "./lb rollout promote --stack dev" in refused.text
    assert environment.last_text("refused") == f"promote: {refused.text}"
    assert "Step 2 passed: " in stack.messages()[3]
    # It says that it was promoted with nothing to go by.
    assert "Step 1 was promoted without a good check (not checked yet)" in stack.messages()[2]


def test_commands_for_another_rollout_are_refused() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["set 1"] = lambda env: env.requests.extend(
        Command(request, "99999999", 1) for request in Request
    )
    assert run(environment, start(stack)) is Ending.REACHED
    assert not any(reply.done for reply in environment.replies)
    assert len(environment.replies) == len(Request)
    assert "paused" not in environment.kinds()


def test_what_confirms_a_step_and_what_does_not() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    words: list[Request | Command | None] = [Request.RESUME, Request.PAUSE, Request.PROMOTE_FULL]
    environment.on["confirm"] = lambda env: env.requests.extend(words)
    assert run(environment, start(stack, confirm="2")) is Ending.REACHED
    assert [reply.done for reply in environment.replies] == [False, False, True]
    assert "step 2 of 3 (50%) waits for a confirmation: " in environment.replies[0].text
    assert [one.weights for one in stack.updates()[1:]] == [{"app1": 9, "app2": 1}, TARGET, TARGET]


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


def test_nothing_passes_while_the_question_after_ctrl_c_waits() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    seen: list[float] = []

    def ask(environment: FakeEnvironment) -> None:
        environment.asking = True

    def answer(environment: FakeEnvironment, number: int) -> None:
        seen.append(stack.clock)
        environment.on["check passed 2"] = lambda env: answer(env, number + 1)
        if number == 50:
            environment.asking = False
            environment.on.pop("check passed 2")

    environment.on["set 2"] = ask
    environment.on["check passed 2"] = lambda env: answer(env, 1)
    assert run(environment, start(stack)) is Ending.REACHED
    assert len(seen) == 50
    assert seen[-1] - seen[0] > 200
    # The app is checked meanwhile.
    stack = FakeStack(rate=500)
    environment = FakeEnvironment(stack, asking=True)
    environment.on["set 2"] = get_sick
    environment.on["set 1"] = lambda env: env.requests.append(Request.PROMOTE)
    assert run(environment, start(stack)) is Ending.ROLLED_BACK


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


def led_back_with(failures: int, **faults: object) -> FakeEnvironment:
    """Abort a rollout whose way back fails so often."""
    stack = FakeStack()
    environment = FakeEnvironment(stack, **faults)  # type: ignore[arg-type]
    environment.on["set 2"] = lambda env: env.requests.append(Request.ABORT)
    environment.on["rolling back"] = lambda env: env.up_fails.extend(
        [UpdateError("no engine")] * failures
    )
    environment.ending = run(environment, start(stack))  # type: ignore[attr-defined]
    return environment


def test_a_rollback_that_fails_is_attempted_again_and_halts_in_the_end() -> None:
    most = len(ROLLBACK_WAITS)
    for failures, ending in ((most, Ending.ROLLED_BACK), (most + 1, Ending.HALTED)):
        environment = led_back_with(failures, stalls=10_000)
        stack = environment.stack
        assert environment.ending is ending  # type: ignore[attr-defined]
        # nginx has the weights of before, whatever Pulumi does.
        assert stack.route == BEFORE
        if ending is Ending.HALTED:
            text = environment.last_text("halted")
            assert f"the rollback failed {most + 1} times, the last time because no engine" in text
            assert "./lb rollout resume --stack dev" in text
            assert resume(FakeEnvironment(stack)) is Ending.ROLLED_BACK
        has_rolled_back(stack)
        waited = [one for one in environment.events if one.kind == "waiting"]
        assert len(waited) == most


def test_a_config_that_cannot_be_written_does_not_keep_the_sick_app_in_nginx() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack)

    def fail(environment: FakeEnvironment) -> None:
        environment.requests.append(Request.ABORT)
        environment.save_fails = [UpdateError("disk full")] * 3

    environment.on["set 2"] = fail
    routes: list[dict[str, int]] = []
    environment.on["waiting"] = lambda env: routes.append(dict(env.stack.route))
    assert run(environment, start(stack)) is Ending.ROLLED_BACK
    assert routes == [BEFORE]
    has_rolled_back(stack)

    # A step that cannot be written is not set, and what cannot be written even then halts.
    stack = FakeStack()
    environment = FakeEnvironment(stack)
    environment.on["passed 1"] = lambda env: env.save_fails.extend([UpdateError("disk full")] * 99)
    assert run(environment, start(stack)) is Ending.HALTED
    assert "disk full" in environment.last_text("halted")
    assert stack.weights == {"app1": 9, "app2": 1}
    assert stack.route == BEFORE
    # nginx follows again.
    assert resume(FakeEnvironment(stack)) is Ending.REACHED
    has_reached(stack)


def test_ctrl_c_ends_the_waiting_for_another_attempt() -> None:
    stack = FakeStack()
    environment = FakeEnvironment(stack, up_fails=[UpdateError("no engine")] * 99)
    environment.on["waiting"] = lambda env: env.interruptions.append(Answer.HALT)
    assert run(environment, start(stack)) is Ending.HALTED
    assert "halted by somebody@somewhere in its rollback" in environment.last_text("halted")


def test_a_history_that_was_shortened_halts() -> None:
    stack = FakeStack()
    stack.serve(60)
    stack.up("Second")
    environment = FakeEnvironment(stack)

    def shorten(environment: FakeEnvironment) -> None:
        stack.history.pop()

    environment.on["set 2"] = shorten
    assert run(environment, start(stack)) is Ending.HALTED
    text = environment.last_text("halted")
    assert "update 2, the last one before the rollout, is not in the history any more" in text
    assert "./lb rollout abort --stack dev" in text


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
