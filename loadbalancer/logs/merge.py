"""Several containers' logs made one: whole lines out of Docker's pieces, in order of time; pure."""

import heapq
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from loadbalancer.logs.parse import Line

_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ")
_LONGEST = 1 << 20
"""Bytes after which a line without end is cut."""


class Lines:
    """Puts whole lines together out of what Docker sends of one container with timestamps.

    It cuts a long line into pieces, each with the time of the first, and pieces of standard output
    and of standard error may come in turns.
    """

    def __init__(self) -> None:
        self._begun: dict[str, bytes] = {}
        self._last = ""

    def add(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """Take a piece; yields the line that it ends, with its time, if it ends one."""
        stamp = _TIME.match(piece)
        # Docker's own messages between the lines have no time.
        time = stamp[1].decode() if stamp else self._last
        self._last = time
        line = self._begun.pop(time, b"") + piece[stamp.end() if stamp else 0 :]
        if line.endswith(b"\n") or len(line) >= _LONGEST:
            yield time, _text(line)
        else:
            self._begun[time] = line

    def rest(self) -> Iterator[tuple[str, str]]:
        """Yield what has begun and will not end."""
        begun, self._begun = self._begun, {}
        for time, line in begun.items():
            yield time, _text(line)


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


class Position:
    """How far a container's log was read, so that it can be read on without a gap or a repetition.

    Docker reads on from a second, not from a line: what was read of the last one is remembered.
    """

    def __init__(self) -> None:
        self._first: str | None = None
        self._second = ""
        self._read: set[str] = set()
        self._before = ("", frozenset[str]())

    def resume(self) -> int | None:
        """Begin to read, or to read on: from this second since the epoch; None: from the start."""
        self._before = (self._first or "", frozenset(self._read))
        if not self._second:
            return None
        return int(datetime.fromisoformat(f"{self._second}+00:00").timestamp())

    def passes(self, time: str) -> bool:
        """Tell whether a line of this time was not read before, and remember that it was now."""
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
    """Brings lines of several containers into order of time, holding each for so many seconds.

    A line that comes later than that after its time still comes out, only not in order.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._heap: list[tuple[str, int, float, Line]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, line: Line, now: float) -> None:
        """Take a line that came just now."""
        heapq.heappush(self._heap, (line.time, next(self._number), now, line))

    def due(self, now: float) -> Iterator[Line]:
        """Yield the lines that have been held long enough, and those of before them."""
        while self._heap and self._heap[0][2] + self._hold <= now:
            yield heapq.heappop(self._heap)[3]
