"""The person at the terminal: Ctrl-C, and questions that are answered here."""

import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from loadbalancer.rollout.environment import Answer

Quiet = Callable[[], AbstractContextManager[None]]

_ANSWERS = {"h": Answer.HOLD, "g": Answer.GO_ON, "r": Answer.BACK}


class Person:
    """Whoever is at the terminal, if anybody is.

    A first Ctrl-C asks; where there is no terminal, and at a second one, it means to hold. So do
    SIGTERM and the end of the terminal.
    """

    def __init__(self, quiet: Quiet) -> None:
        self.there = sys.stdin.isatty() and sys.stdout.isatty()
        self._quiet = quiet
        self._pressed = False
        self._ended = False
        self._asked = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals instead of being ended by them."""
        before = {
            number: signal.signal(number, self._take)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._pressed = True
        else:
            self._ended = True

    def interrupted(self) -> Answer | None:
        """After a signal, find out what to do; None when there was none."""
        if self._ended or (self._pressed and not self.there):
            return Answer.HOLD
        if not self._pressed:
            return None
        self._pressed = False
        with self._quiet():
            answer = self._ask()
        self._pressed = False
        return answer

    def _ask(self) -> Answer:
        """Ask until there is an answer; another Ctrl-C, or the end of the input, is one too."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            while True:
                said = input("\nHold here (h), go on (g), or roll back (r)? ").strip().lower()[:1]
                if said in _ANSWERS:
                    return _ANSWERS[said]
        except (KeyboardInterrupt, EOFError):
            return Answer.HOLD
        finally:
            signal.signal(signal.SIGINT, before)

    def answered(self, question: str) -> bool | None:
        """Tell whether a question was answered with yes or no; None as long as it was not."""
        if not self.there:
            return None
        if question != self._asked:
            self._asked = question
            with self._quiet():
                print(f"{question} (y/n)", flush=True)
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        said = sys.stdin.readline().strip().lower() if ready else ""
        if said[:1] not in {"y", "n"}:
            return None
        self._asked = ""
        return said[:1] == "y"
