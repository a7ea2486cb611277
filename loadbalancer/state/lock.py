"""Who holds the lock of a stack in a file backend."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from loadbalancer.state.backend import folder


@dataclass(frozen=True)
class Holder:
    """The process that took the lock, on which host and when (RFC 3339)."""

    pid: int
    host: str
    since: str

    def lives(self) -> bool:
        """Tell whether the process still runs; one on another host counts as running."""
        return self.host != socket.gethostname() or Path(f"/proc/{self.pid}").exists()


def holders(backend: str, project: str, stack: str) -> list[Holder]:
    """Read the locks of a stack.

    Args:
        backend: the backend's address; one that is not a folder has no locks to read here.
        project: the stack's project.
        stack: the stack's name.
    """
    kept = folder(backend)
    if kept is None:
        return []
    locks = kept / "locks/organization" / project / stack
    return [_holder(path) for path in sorted(locks.glob("*.json"))]


def _holder(path: Path) -> Holder:
    lock = json.loads(path.read_text())
    return Holder(int(lock["pid"]), str(lock["hostname"]), str(lock["timestamp"]))
