"""The threads that answer requests: as many as are needed, never more than allowed."""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps._server.threads import EAGER, Pool
from loadbalancer.engine.wait import Wait

Job = Callable[[], None]


class Gate:
    """Jobs that wait until they are let go, counted."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.done = 0
        self.running = 0
        self.most = 0
        self._mutex = threading.Lock()

    def __call__(self) -> None:
        with self._mutex:
            self.running += 1
            self.most = max(self.most, self.running)
        self.opened.wait()
        with self._mutex:
            self.running -= 1
            self.done += 1


def relieve(pool: Pool, condition: Callable[[], bool]) -> None:
    """Call `relieve` as the server does, until a condition is met."""

    def look() -> str | None:
        pool.relieve()
        return None if condition() else "not yet"

    Wait(interval=0.002).until("jobs of a pool", look)


@given(most=st.integers(1, 8), count=st.integers(1, 20))
def test_no_more_threads_than_allowed_and_every_job_is_run(most: int, count: int) -> None:
    gate, pool = Gate(), Pool(lambda job: job(), most)
    for _ in range(count):
        pool.submit(gate)
    relieve(pool, lambda: gate.running == min(most, count))
    gate.opened.set()
    relieve(pool, lambda: gate.done == count)
    assert gate.most == min(most, count)


def test_jobs_that_are_slow_do_not_make_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    gate, pool = Gate(), Pool(lambda job: job(), 8)
    for _ in range(EAGER):
        pool.submit(gate)
    pool.submit(gate)
    assert pool.hopeful, "a third job waits for one of the first two"
    now += 1
    pool.relieve()
    assert not pool.hopeful
    now += 1
    pool.submit(gate)
    assert not pool.hopeful, "a job after slow ones has its thread at once"
    gate.opened.set()


def test_no_hope_without_a_thread_that_could_be_started() -> None:
    gate, pool = Gate(), Pool(lambda job: job(), 1)
    pool.submit(gate)
    pool.submit(gate)
    assert not pool.hopeful
    gate.opened.set()
    relieve(pool, lambda: gate.done == 2)


def test_a_system_without_further_threads_uses_those_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, pool = Gate(), Pool(lambda job: job(), 8)
    pool.submit(gate)

    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", fails)
        pool.submit(gate)
    assert not pool.hopeful
    gate.opened.set()
    relieve(pool, lambda: gate.done == 2)
