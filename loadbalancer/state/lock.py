"""Locks of a stack in a file backend: who holds them, and whether they are stale."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from loadbalancer.state.project import Project


@dataclass(frozen=True)
class Holder:
    """The process that took a lock, on which host and when (RFC 3339)."""

    pid: int
    host: str
    since: str

    def lives(self) -> bool:
        """Return whether the process still runs; one on another host counts as running."""
        return self.host != socket.gethostname() or Path(f"/proc/{self.pid}").exists()


def holders(project: Project, stack: str) -> list[Holder]:
    """Read the locks of a stack, the same that make `pulumi up` fail with `locked`.

    Args:
        project: the project; only a file backend has locks that can be read here.
        stack: the stack's name.

    Returns:
        The holders; none for another backend.
    """
    backend = project.file_backend
    if backend is None:
        return []
    # A file backend knows one organization, whose name is fixed.
    folder = backend / "locks" / "organization" / project.name / stack.rpartition("/")[2]
    found = (_holder(path) for path in sorted(folder.glob("*.json")))
    return [holder for holder in found if holder is not None]


def _holder(path: Path) -> Holder | None:
    """Read one lock; None where its process removes it just now, or has not written it yet."""
    try:
        lock = json.loads(path.read_text())
        return Holder(int(lock["pid"]), str(lock["hostname"]), str(lock["timestamp"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None
