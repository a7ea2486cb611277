"""Waiting for a condition, with a time-out that names the condition and the last state seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass


class WaitTimeoutError(TimeoutError):
    """A condition was not met in time."""


@dataclass(frozen=True)
class Wait:
    """Time-out and poll interval in seconds, and the errors that only mean "not yet"."""

    timeout: float = 30.0
    interval: float = 0.05
    forgives: tuple[type[Exception], ...] = ()

    def until(self, what: str, look: Callable[[], object]) -> None:
        """Call `look` until it returns None, which means that the condition is met.

        Args:
            what: the condition, as in "waited 30 s for ...".
            look: returns None, or what it saw instead.

        Raises:
            WaitTimeoutError: with the condition, the time-out and the last state seen.
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
