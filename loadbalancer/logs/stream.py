"""The merged log of a stack's containers: the newest lines, then new ones as they come."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from operator import attrgetter
from queue import Empty, Queue
from typing import Protocol

from loadbalancer import engine
from loadbalancer.engine.container import Container
from loadbalancer.logs.filter import Filter
from loadbalancer.logs.merge import Merger
from loadbalancer.logs.parse import Line
from loadbalancer.logs.reader import LogSource, source_of
from loadbalancer.state import deployment
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import StackNotFoundError

_HOLD = 0.3
"""Seconds that a line waits for older ones of other containers."""

_LOOK = 0.5
"""Seconds between two looks for new containers."""

_WAITING = 10_000
"""Lines that may wait to be shown; the engine keeps the rest until there is room."""

Show = Callable[[Line], None]
Look = Callable[[], list[Container]]


class LogsError(RuntimeError):
    """There are no logs to show; the message holds the fix command."""


class Reader(Protocol):
    """Reads a container's log, as LogSource does."""

    def __call__(self, container: Container, *, tail: int | None, follow: bool) -> Iterable[Line]:
        """Read what was logged since the last call."""


def logs(
    project: Project,
    stack: str,
    filter: Filter,
    show: Show,
    *,
    tail: int,
    follow: bool,
) -> None:
    """Show the newest lines of a stack's containers by time, and with `follow` the new ones.

    Args:
        project: the project.
        stack: the stack's name.
        filter: selects lines.
        show: shows a line.
        tail: number of existing lines to show at most.
        follow: continue, without end, with new lines.

    Raises:
        FilterError: when the filter names an app that the stack has no container of.
        LogsError: when the stack has no container.
        StackNotFoundError: when the backend has no such stack.
        EngineError: when no engine answers.
    """
    source = LogSource(engine.connect(), OwnNetworks(project, stack))
    found = source.containers()
    if not found:
        raise LogsError(
            f"stack {stack} has no container {engine.location()}. "
            f"Bring it up: ./lb up --stack {stack}"
        )
    filter.check({app for one in found if (app := source_of(one).app) is not None})
    for line in newest(found, source.read, filter, tail):
        show(line)
    if follow:
        go_on(source.containers, source.read, filter, show)


class OwnNetworks:
    """Finds the networks of a stack, by its state: another checkout may have one of that name."""

    def __init__(self, project: Project, stack: str) -> None:
        """Read the state once, so that a stack that does not exist is an error."""
        self._project = project
        self._stack = stack
        self._own = deployment.read(project, stack).known
        self._foreign: frozenset[str] = frozenset()

    def __call__(self, networks: Collection[str]) -> frozenset[str]:
        """Return those that belong to the stack, which may have been created since the last call.

        Files are read again for every network that is not known yet. A state elsewhere is exported
        once for each, since that takes a process.
        """
        unknown = frozenset(networks) - self._own - self._foreign
        if unknown:
            with suppress(StackNotFoundError):
                self._own |= deployment.read(self._project, self._stack).known
            if self._project.file_backend is None:
                self._foreign |= unknown - self._own
        return self._own.intersection(networks)


def newest(containers: Iterable[Container], read: Reader, filter: Filter, tail: int) -> list[Line]:
    """Read the newest matching lines, `tail` of all containers together, by time."""
    # At least one line, so that the position from which to continue is known.
    most = max(tail, 1) if filter.takes_all else None
    kept: list[Line] = []
    for container in containers:
        if filter.reads(source_of(container)):
            lines = read(container, tail=most, follow=False)
            kept.extend(deque((line for line in lines if filter.matches(line)), maxlen=tail))
    kept.sort(key=attrgetter("time"))
    return kept[len(kept) - min(tail, len(kept)) :]


def go_on(look: Look, read: Reader, filter: Filter, show: Show) -> None:
    """Show new lines by time, also those of new containers, without end."""
    queue: Queue[Line] = Queue(_WAITING)
    merger = Merger(_HOLD)
    readers: dict[str, threading.Thread] = {}
    ended: set[str] = set()

    def follow(container: Container) -> None:
        for line in read(container, tail=None, follow=True):
            if filter.matches(line):
                queue.put(line)

    def start() -> None:
        for container in look():
            running = readers.get(container.id)
            if not container.stopped:
                ended.discard(container.id)
            if container.id in ended or (running and running.is_alive()):
                continue
            if container.stopped:
                # It is read once more for its last lines.
                ended.add(container.id)
            if filter.reads(source_of(container)):
                name = f"log of {source_of(container).name}"
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
