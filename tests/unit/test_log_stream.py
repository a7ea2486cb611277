"""The newest lines of all logs, and those that follow, without Docker."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from loadbalancer import names
from loadbalancer.engine.container import Container
from loadbalancer.logs import stream
from loadbalancer.logs.filter import Filter
from loadbalancer.logs.parse import Line, Source
from tests.loglines import APP1, APP2, NGINX, OF_APP, line, stamp


def container(source: Source, *, runs: bool = True) -> Container:
    labels = {names.APP: source.app} if source.app else {}
    status = "running" if runs else "exited"
    return Container(source.name, source.name, status, None, "", labels)


class FakeReader:
    """Reads what a test has written; `follow` waits for no more, as at a container's end."""

    def __init__(self) -> None:
        self.written: defaultdict[str, list[Line]] = defaultdict(list)
        self.asked: list[tuple[str, int | None, bool]] = []

    def __call__(self, container: Container, *, tail: int | None, follow: bool) -> Iterator[Line]:
        self.asked.append((container.id, tail, follow))
        lines = self.written[container.id]
        while lines:
            yield lines.pop(0)


def of_request(number: int, source: Source, status: int = 200) -> Line:
    return line({**OF_APP, "status": status}, source, stamp(number))


def test_the_newest_of_all_by_time() -> None:
    read = FakeReader()
    read.written["nginx-1"] = [line("n", NGINX, stamp(number)) for number in (1, 4, 5)]
    read.written["app1-1"] = [line("a", APP1, stamp(number)) for number in (2, 3, 6)]
    found = stream.newest([container(NGINX), container(APP1)], read, Filter(), 4)
    assert [one.time for one in found] == [stamp(number) for number in (3, 4, 5, 6)]
    assert read.asked == [("nginx-1", 4, False), ("app1-1", 4, False)]


def test_with_a_tail_of_0_the_position_to_continue_from_is_known() -> None:
    read = FakeReader()
    read.written["nginx-1"] = [line("n")]
    assert stream.newest([container(NGINX)], read, Filter(), 0) == []
    assert read.asked == [("nginx-1", 1, False)]
    assert not read.written["nginx-1"]


def test_a_filter_looks_through_the_whole_log() -> None:
    read = FakeReader()
    codes = [404, 404, 404, 200, 200]
    read.written["app1-1"] = [of_request(n, APP1, code) for n, code in enumerate(codes)]
    every = [container(NGINX), container(APP1), container(APP2)]
    found = stream.newest(every, read, Filter(app="app1", statuses=frozenset({"4xx"})), 2)
    assert [one.time for one in found] == [stamp(1), stamp(2)]
    assert read.asked == [("nginx-1", None, False), ("app1-1", None, False)]


class EnoughError(Exception):
    """Ends what does not end by itself."""


def followed(
    look: Callable[[], list[Container]],
    read: stream.Reader,
    count: int,
    chosen: Filter | None = None,
) -> list[Line]:
    """Follow until so many lines were shown."""
    found: list[Line] = []

    def show(one: Line) -> None:
        found.append(one)
        if len(found) == count:
            raise EnoughError

    with pytest.raises(EnoughError):
        stream.go_on(look, read, chosen or Filter(), show)
    return found


def readers_come_to_rest() -> None:
    """Wait until every reader has put down what there is; `FakeReader` then ends."""
    for thread in threading.enumerate():
        if thread.name.startswith("log of "):
            thread.join()


class Clock:
    """A time that goes on a little at each look at it, and never while a reader is at work.

    So what was written is there before its time is over, however slow the machine is.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        readers_come_to_rest()
        self._now += 0.002
        return self._now


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and hold lines briefly, by a clock that no stall can put forward."""
    monkeypatch.setattr(stream, "_LOOK", 0.01)
    monkeypatch.setattr(stream, "_HOLD", 0.05)
    monkeypatch.setattr(stream, "time", Clock())


@pytest.mark.usefixtures("quick")
def test_followed_lines_are_in_order_and_new_containers_are_followed() -> None:
    read, looks = FakeReader(), 0
    read.written["nginx-1"] = [line("n", NGINX, stamp(number)) for number in (0, 3)]
    read.written["app1-1"] = [line("a", APP1, stamp(number)) for number in (1, 2)]

    def look() -> list[Container]:
        nonlocal looks
        looks += 1
        if looks == 1:
            return [container(NGINX), container(APP1)]
        if looks == 8:
            read.written["app2-1"] = [line("b", APP2, stamp(4))]
        return [container(NGINX), container(APP2)] if looks >= 8 else [container(NGINX)]

    found = followed(look, read, 5)
    assert [one.time for one in found] == [stamp(number) for number in range(5)]
    # One that still runs is followed again after its log was cut off.
    assert sum(id_ == "nginx-1" for id_, _, _ in read.asked) > 1
    assert all(tail is None and follow for _, tail, follow in read.asked)


@pytest.mark.usefixtures("quick")
def test_a_stopped_container_is_read_once_more_and_again_after_a_start() -> None:
    read, states = FakeReader(), [True, False, False, False, True, False, False]
    asked: list[int] = []

    def look() -> list[Container]:
        readers_come_to_rest()
        asked.append(len(read.asked))
        if not states:
            raise EnoughError
        return [container(APP1, runs=states.pop(0))]

    with pytest.raises(EnoughError):
        stream.go_on(look, read, Filter(), print)
    assert asked == [0, 1, 2, 2, 2, 3, 4, 4]


@pytest.mark.usefixtures("quick")
def test_only_matching_lines_are_followed() -> None:
    read = FakeReader()
    read.written["app1-1"] = [of_request(1, APP1), of_request(2, APP1, 500)]
    every = [container(NGINX), container(APP1), container(APP2)]
    chosen = Filter(app="app1", statuses=frozenset({"5xx"}))
    assert [one.time for one in followed(lambda: every, read, 1, chosen)] == [stamp(2)]
    assert {id_ for id_, _, _ in read.asked} == {"nginx-1", "app1-1"}
