"""The endings of a rollout on a simulated stack, from and to the usual weights."""

from loadbalancer.state.message import Kind
from tests.rollout import FakeStack

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
