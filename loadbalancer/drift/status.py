"""The status of a stack: every resource as desired and as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadbalancer import engine
from loadbalancer.drift import actual, compare
from loadbalancer.drift.compare import Row
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics import client as metrics
from loadbalancer.state import deployment, lock
from loadbalancer.state.project import Project

ELSEWHERE = "has nothing of the stack; another engine may have it"


@dataclass(frozen=True)
class Status:
    """A stack, its address, and everything that is desired or actual.

    `updating` describes the process that may be updating the stack now; empty where none is.
    `ejected` are the servers to which nginx passes no requests now, with the reason: it readmits
    them by itself, so that they are no drift.
    """

    stack: str
    url: str
    rows: tuple[Row, ...]
    updating: str = ""
    ejected: Mapping[str, str] = field(default_factory=dict)

    @property
    def drift(self) -> tuple[Row, ...]:
        """The rows that differ."""
        return tuple(row for row in self.rows if row.difference)


def look(project: Project, stack: str) -> Status:
    """Compare a stack's state with the engine. Changes nothing, nor selects the stack.

    Raises:
        StackNotFoundError: when the backend has no such stack.
        EngineError: when no engine answers.
    """
    locked = lock.holders(project, stack)
    desired = deployment.read(project, stack)
    client = engine.connect()
    found = actual.read(client, project, stack, desired)
    stale = [
        Row("lock", "released", str(one), f"stale lock of {one}")
        for one in locked
        if not one.lives()
    ]
    updating = ", ".join(str(one) for one in locked if one.lives())
    if actual.is_elsewhere(client, desired):
        stale.append(Row("engine", "has the stack", f"engine {engine.location()}", ELSEWHERE))
    rows = (*stale, *compare.compare(desired, found))
    return Status(stack, desired.url, rows, updating, _ejected(desired.admin_url))


def _ejected(admin_url: str) -> dict[str, str]:
    """Ask nginx which servers are ejected; none where it does not answer, which is drift."""
    if not admin_url:
        return {}
    try:
        apps = metrics.read(admin_url).apps
    except MetricsError:
        return {}
    return {server: reason for app in apps.values() for server, reason in app.ejected.items()}
