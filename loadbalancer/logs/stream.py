"""The logs of a stack, nginx's and its apps', as one: the newest lines, then what comes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from operator import attrgetter
from queue import Empty, Queue
from typing import Protocol

from pulumi import automation

from loadbalancer import engine
from loadbalancer.logs.filter import Filter
from loadbalancer.logs.merge import Merger
from loadbalancer.logs.parse import Line
from loadbalancer.logs.reader import Container, LogSource
from loadbalancer.state import deployment

_HOLD = 0.3
"""Seconds that a line waits for older ones of other containers."""

_LOOK = 0.5
"""Seconds between two looks for containers that have come."""

_WAITING = 10_000
"""Lines that may wait to be shown; what is beyond that stays with the engine until then."""

Show = Callable[[Line], None]
Look = Callable[[], list[Container]]


class LogsError(RuntimeError):
    """There are no logs to show; the message holds the command that mends it."""


class Reader(Protocol):
    """Reads a container's log, as LogSource does."""

    def __call__(self, container: Container, *, tail: int | None, follow: bool) -> Iterable[Line]:
        """Read what has been logged since the last time."""


def logs(
    workspace: automation.Workspace,
    stack: str,
    wanted: Filter,
    show: Show,
    *,
    tail: int,
    follow: bool,
) -> None:
    """Show the newest lines of a stack's containers in order of time, and if so told what comes.

    Args:
        workspace: where the project is.
        stack: the stack's name.
        wanted: which lines.
        show: shows a line.
        tail: how many lines of those that there are.
        follow: go on, without end, with those that come.

    Raises:
        FilterError: when an app is wanted that the stack has no container of.
        LogsError: when the stack has no container at all.
        DockerException: when no engine answers.
    """
    source = LogSource(engine.connect(), workspace.project_settings().name, stack)
    strangers = _strangers(workspace, stack, source.containers())

    def look() -> list[Container]:
        return source.containers(strangers)

    found = look()
    if not found:
        where = engine.whereabouts()
        raise LogsError(
            f"stack {stack} has no container {where}. Bring it up: make up STACK={stack}"
        )
    wanted.check({one.source.app for one in found if one.source.app is not None})
    for line in newest(found, source.read, wanted, tail):
        show(line)
    if follow:
        go_on(look, source.read, wanted, show)


def _strangers(
    workspace: automation.Workspace, stack: str, found: Iterable[Container]
) -> frozenset[str]:
    """Find the networks of a stack of the same name in another checkout, as its state tells."""
    networks = frozenset(one.network for one in found)
    if len(networks) <= 1:
        return frozenset()
    return networks - deployment.read(workspace, stack).known


def newest(containers: Iterable[Container], read: Reader, wanted: Filter, tail: int) -> list[Line]:
    """Read the newest lines that are wanted, so many of all containers together, by time."""
    # One line at least, so that it is known from where to go on.
    most = max(tail, 1) if wanted.takes_all else None
    kept: list[Line] = []
    for container in containers:
        if wanted.concerns(container.source):
            lines = read(container, tail=most, follow=False)
            kept.extend(deque(filter(wanted.wants, lines), maxlen=tail))
    kept.sort(key=attrgetter("time"))
    return kept[len(kept) - min(tail, len(kept)) :]


def go_on(look: Look, read: Reader, wanted: Filter, show: Show) -> None:
    """Show what comes, in order of time, also from containers that come; does not end by itself."""
    queue: Queue[Line] = Queue(_WAITING)
    merger = Merger(_HOLD)
    readers: dict[str, threading.Thread] = {}
    ended: set[str] = set()

    def follow(container: Container) -> None:
        for line in read(container, tail=None, follow=True):
            if wanted.wants(line):
                queue.put(line)

    def start() -> None:
        for container in look():
            running = readers.get(container.id)
            if container.runs:
                ended.discard(container.id)
            if container.id in ended or (running and running.is_alive()):
                continue
            if not container.runs:
                # Once more for what it wrote at its end.
                ended.add(container.id)
            if wanted.concerns(container.source):
                name = f"log of {container.source.name}"
                thread = threading.Thread(target=follow, args=(container,), name=name, daemon=True)
                readers[container.id] = thread
                thread.start()

    looked = -_LOOK
    while True:
        now = time.monotonic()
        if now >= looked + _LOOK:
            start()
            looked = now
        try:
            merger.add(queue.get(timeout=_HOLD / 10 if merger else _LOOK), time.monotonic())
            for _ in range(queue.qsize()):
                merger.add(queue.get_nowait(), time.monotonic())
        except Empty:
            pass
        for line in merger.due(time.monotonic()):
            show(line)
