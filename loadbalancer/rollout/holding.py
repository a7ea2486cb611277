"""One rollout a stack at a time: who is at work, and what others ask of it."""

import fcntl
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadbalancer import names
from loadbalancer.rollout.environment import Request
from loadbalancer.rollout.record import Holder


class TakenError(RuntimeError):
    """Another process is at work on the stack."""


def me() -> Holder:
    """Describe this process."""
    pid = os.getpid()
    return Holder(
        user=getpass.getuser(), host=socket.gethostname(), pid=pid, started=_started(pid) or ""
    )


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None if there is none."""
    try:
        # The name before the last parenthesis may hold spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


class Desk:
    """Two files of a stack in the project's folder: a lock, and what other terminals ask."""

    def __init__(self, project: Path, stack: str) -> None:
        self._folder = project / ".rollout"
        self._lock = self._folder / f"{names.slug(stack)}.lock"
        self._request = self._folder / f"{names.slug(stack)}.request"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, which the kernel releases when the process ends, however it does.

        Raises:
            TakenError: when another process holds it.
        """
        self._folder.mkdir(exist_ok=True)
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TakenError from None
            # What was asked of an earlier one is not meant for this.
            self._request.unlink(missing_ok=True)
            yield

    def taken(self) -> bool:
        """Tell whether a process is at work; changes nothing."""
        if not self._lock.exists():
            return False
        with self._lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def ask(self, request: Request) -> None:
        """Ask something of the process at work."""
        written = self._request.with_suffix(".new")
        written.write_text(request.value)
        written.replace(self._request)

    def asked(self) -> Request | None:
        """Take what was asked, once."""
        # Out of the way first, so that what is asked while this is read is not taken away with it.
        taken = self._request.with_suffix(".taken")
        try:
            self._request.replace(taken)
        except FileNotFoundError:
            return None
        text = taken.read_text()
        taken.unlink()
        return Request(text) if text in set(Request) else None
