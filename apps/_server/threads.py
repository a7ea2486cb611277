"""Threads that answer requests: as many as are needed, and no more than are allowed."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

EAGER = 2
"""Jobs that run at once without waiting. Threads of one interpreter take turns, and a turn costs
as much as a short request. So a further job waits until one of these has ended, or has run for
PATIENCE: then it is slow, and no longer counts."""

PATIENCE = 0.003
"""Seconds after which a job that waits gets a thread of its own, if one is left."""


class Pool:
    """Runs jobs in threads. The thread that ended a job last gets the next one.

    ``submit`` and ``relieve`` are called by one thread, which calls ``relieve`` again and again
    while ``hopeful`` is true.
    """

    def __init__(self, run: Callable[[Any], None], most: int) -> None:
        self._run = run
        self._most = most
        self._mutex = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._waiting_since = 0.0
        self._recent: dict[_Thread, float] = {}
        self._idle: list[_Thread] = []
        self._started = 0

    @property
    def waiting(self) -> int:
        """The number of jobs that have no thread yet."""
        return len(self._waiting)

    @property
    def hopeful(self) -> bool:
        """Whether a job waits that can get a thread before another job ends."""
        return bool(self._waiting) and (bool(self._idle) or self._started < self._most)

    def submit(self, job: Any) -> None:
        """Run a job in a thread, now or as soon as one is free."""
        now = time.monotonic()
        with self._mutex:
            if not self._waiting:
                if self._count_recent(now) < EAGER and self._start(job, now):
                    return
                self._waiting_since = now
            self._waiting.append(job)

    def relieve(self) -> None:
        """Give threads to the jobs that have waited for PATIENCE."""
        now = time.monotonic()
        if not self._waiting or now - self._waiting_since < PATIENCE:
            return
        with self._mutex:
            while self._waiting and self._start(self._waiting[0], now):
                self._waiting.popleft()
            self._waiting_since = now

    def _count_recent(self, now: float) -> int:
        """Count the jobs that have run for less than PATIENCE; the oldest are first."""
        while self._recent:
            thread = next(iter(self._recent))
            if now - self._recent[thread] < PATIENCE:
                break
            del self._recent[thread]
        return len(self._recent)

    def _start(self, job: Any, now: float) -> bool:
        if self._idle:
            thread = self._idle.pop()
            thread.give(job)
        elif self._started < self._most:
            thread = _Thread(self, job, self._started + 1)
            try:
                thread.start()
            except RuntimeError:
                # The system allows no more threads: these have to do.
                if not self._started:
                    raise
                self._most = self._started
                return False
            self._started += 1
        else:
            return False
        self._recent[thread] = now
        return True

    def work(self, thread: "_Thread", job: Any) -> None:
        """Run a job, and then those that wait; called by a thread."""
        while True:
            self._run(job)
            with self._mutex:
                self._recent.pop(thread, None)
                if not self._waiting:
                    self._idle.append(thread)
                    return
                job = self._waiting.popleft()
                self._waiting_since = self._recent[thread] = time.monotonic()


class _Thread(threading.Thread):
    """A thread that runs one job after another."""

    def __init__(self, pool: Pool, job: Any, number: int) -> None:
        super().__init__(name=f"request-{number}", daemon=True)
        self._pool = pool
        self._job = job
        self._wake = threading.Lock()
        self._wake.acquire()

    def give(self, job: Any) -> None:
        """Run a job; for a thread that has none."""
        self._job = job
        self._wake.release()

    def run(self) -> None:
        """Run jobs until the process ends."""
        while True:
            job, self._job = self._job, None
            self._pool.work(self, job)
            self._wake.acquire()
