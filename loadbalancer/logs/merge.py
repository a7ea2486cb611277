"""The merge of several containers' logs: whole lines out of Docker's pieces, ordered by time."""

import heapq
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from loadbalancer.logs.parse import Line

_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ")
_LONGEST = 1 << 20
"""Bytes after which a line is cut."""


class Lines:
    """Joins the pieces that Docker sends of one container, with timestamps, into lines.

    Docker cuts a long line into pieces, each with the time of the first, and pieces of standard
    output and standard error may alternate.
    """

    def __init__(self) -> None:
        self._incomplete: dict[str, bytes] = {}
        self._last = ""

    def add(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Add a piece; yields the line that it completes, with its time, if any."""
        stamp = _TIME.match(piece)
        # Docker's own messages between the lines have no time.
        time = stamp[1].decode() if stamp else self._last
        self._last = time
        line = self._incomplete.pop(time, b"") + piece[stamp.end() if stamp else 0 :]
        if line.endswith(b"\n") or len(line) >= _LONGEST:
            yield time, _text(line)
        else:
            self._incomplete[time] = line

    def rest(self) -> Iterator[tuple[str, str]]:
        """Yield the incomplete lines."""
        incomplete, self._incomplete = self._incomplete, {}
        for time, line in incomplete.items():
            yield time, _text(line)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


class Position:
    """How far a container's log was read, to continue without a gap or a repetition.

    Docker continues from a second, not from a line, so the lines read of the last second are kept.
    """

    def __init__(self) -> None:
        self._first: str | None = None
        self._second = ""
        self._read: set[str] = set()
        self._before = ("", frozenset[str]())

    def resume(self) -> int | None:
        """Start or continue reading; returns the epoch second to read from, None for the start."""
        self._before = (self._first or "", frozenset(self._read))
        if not self._second:
            return None
        return int(datetime.fromisoformat(f"{self._second}+00:00").timestamp())

    def passes(self, time: str) -> bool:
        """Tell whether a line of this time is new, and remember it as read."""
        first, read = self._before
        if time < first or time in read:
            return False
        self._first = time if self._first is None else self._first
        if time[:19] > self._second:
            self._second = time[:19]
            self._read.clear()
        self._read.add(time)
        return True


class Merger:
    """Orders lines of several containers by time, holding each for a number of seconds.

    A line that arrives later than that is not lost, but not in order.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._heap: list[tuple[str, int, float, Line]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, line: Line, now: float) -> None:
        """Add a line that arrived now."""
        heapq.heappush(self._heap, (line.time, next(self._number), now, line))

    def due(self, now: float) -> Iterator[Line]:
        """Yield the lines that were held long enough, and the earlier ones."""
        while self._heap and self._heap[0][2] + self._hold <= now:
            yield heapq.heappop(self._heap)[3]
