"""Changes by somebody else during a rollout, on a simulated stack."""

from collections.abc import Callable

import pytest

from loadbalancer.rollout.errors import Ending
from tests.rollout import FakeEnvironment, FakeStack, resume, run, start


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
