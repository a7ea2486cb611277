"""Updates that fail, and the way back, on a simulated stack."""

from loadbalancer.rollout.control import Answer, Request
from loadbalancer.rollout.errors import BusyError, Ending, UpdateError
from loadbalancer.rollout.way_back import ROLLBACK_WAITS
from tests.endings import BEFORE, has_reached, has_rolled_back
from tests.rollout import FakeEnvironment, FakeStack, resume, run, start


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
