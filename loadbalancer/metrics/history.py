"""The recent readings that live figures are computed from."""

from collections import deque

from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import Window, since

LONGEST = 60.0
"""Seconds that figures cover at most."""


class History:
    """Consecutive readings of one route and one run of nginx.

    What was before a change says nothing about the shares after it, so a reading of another route
    begins a new history, and so does one of an nginx that was restarted.
    """

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self._readings: deque[Reading] = deque()

    def add(self, reading: Reading) -> None:
        """Add a reading."""
        last = self.last
        if last and (_route(last) != _route(reading) or since(last, reading).reset):
            self._readings.clear()
        self._readings.append(reading)
        # One earlier reading is kept, however old it is.
        while len(self._readings) > 2 and self._too_old(self._readings[0]):  # noqa: PLR2004
            self._readings.popleft()

    def _too_old(self, reading: Reading) -> bool:
        return reading.time < self._readings[-1].time - self._longest

    @property
    def last(self) -> Reading | None:
        """The last reading; None before the first."""
        return self._readings[-1] if self._readings else None

    def window(self) -> Window | None:
        """Return what happened from the oldest reading to the last; None before the second."""
        if len(self._readings) <= 1:
            return None
        return since(self._readings[0], self._readings[-1])


def _route(reading: Reading) -> tuple[str, float]:
    return reading.version, reading.changed
