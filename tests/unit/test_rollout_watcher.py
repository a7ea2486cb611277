"""What a rollout sees of its step meanwhile, on a simulated stack and clock."""

from collections.abc import Callable

import pytest

from loadbalancer.rollout.control import Command, Request
from loadbalancer.rollout.errors import Ending
from tests.endings import has_rolled_back
from tests.rollout import START, App, FakeEnvironment, FakeStack, run, start


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
