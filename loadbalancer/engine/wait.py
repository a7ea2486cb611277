"""Waiting for a condition, with a time-out that says what was waited for and last seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass


class WaitTimeoutError(TimeoutError):
    """A condition did not come true in time."""


@dataclass(frozen=True)
class Wait:
    """How long to wait and how often to look (seconds), and which errors only mean "not yet"."""

    timeout: float = 30.0
    interval: float = 0.05
    forgives: tuple[type[Exception], ...] = ()

    def until(self, what: str, look: Callable[[], object]) -> None:
        """Call look until it answers None, which means that the condition holds.

        Args:
            what: the condition, to end the sentence "waited 30 s for ...".
            look: answers None, or what it saw instead.

        Raises:
            WaitTimeoutError: with what was waited for, for how long, and the last thing seen.
        """
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                seen = look()
            except self.forgives as error:
                seen = error
            if seen is None:
                return
            if time.monotonic() >= deadline:
                raise WaitTimeoutError(f"waited {self.timeout:g} s for {what}; last seen: {seen}")
            time.sleep(self.interval)
