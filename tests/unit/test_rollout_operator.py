"""The operator's questions on a terminal: they wait without keeping the rollout from its checks."""

import os
import pty
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from loadbalancer.engine.wait import Wait
from loadbalancer.rollout.control import Answer, Operator

SOON = Wait(timeout=30, interval=0.01)


class Terminal:
    """A terminal on which somebody types, for the Operator of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, theirs = pty.openpty()
        self.theirs = os.fdopen(theirs, "r")
        monkeypatch.setattr(sys, "stdin", self.theirs)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        self.operator = Operator(nullcontext)

    def type(self, text: str) -> None:
        """Type, and wait until the terminal has it."""
        os.write(self.ours, text.encode())

    def interruption(self) -> Answer:
        """Look until there is an answer."""
        found: list[Answer] = []

        def look() -> object:
            answer = self.operator.interruption()
            found.extend([answer] if answer else [])
            return None if answer else "no answer"

        SOON.until("an answer", look)
        return found[0]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    found = Terminal(monkeypatch)
    with found.operator.handling_signals():
        yield found
    found.theirs.close()
    os.close(found.ours)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("h\n", Answer.HALT),
        ("Continue\n", Answer.CONTINUE),
        ("r\n", Answer.ROLL_BACK),
        ("x\n", None),
        ("\x04", Answer.HALT),
    ],
)
def test_ctrl_c_asks_and_goes_on_looking(
    terminal: Terminal, typed: str, answer: Answer | None, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = terminal.operator
    assert operator.interruption() is None
    signal.raise_signal(signal.SIGINT)
    for _ in range(3):
        assert operator.interruption() is None
        assert operator.asking
    terminal.type(typed)
    if answer is None:

        def look() -> object:
            assert operator.interruption() is None
            printed.append(capsys.readouterr().out)
            asked = "".join(printed)
            return None if asked.count("roll back (r)?") == 2 else asked

        printed: list[str] = []
        SOON.until("the question to be repeated", look)
        signal.raise_signal(signal.SIGINT)
        assert operator.interruption() is Answer.HALT
        return
    assert terminal.interruption() is answer
    assert not operator.asking


def test_what_was_typed_before_a_question_is_no_answer_to_it(terminal: Terminal) -> None:
    operator = terminal.operator
    assert operator.answer("Step 2?") is None
    terminal.type("y\ny\n")

    def look() -> object:
        return None if operator.answer("Step 2?") else "no answer"

    SOON.until("yes", look)
    # The second line is not for the next step.
    for _ in range(20):
        assert operator.answer("Step 3?") is None
    terminal.type("n\n")
    found: list[bool | None] = []

    def answered() -> object:
        found.append(operator.answer("Step 3?"))
        return "no answer" if found[-1] is None else None

    SOON.until("no", answered)
    assert found[-1] is False
