"""Locks of a stack in a file backend: who holds them, and whether they are stale.

Other backends, such as Pulumi Cloud and S3, do not say here who holds a lock.
"""

import json
import os
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loadbalancer.state.project import ORGANIZATION, Project

_CLOCK = timedelta(seconds=5)
"""By how much the start of a process, as the system tells it, may be off."""
_PROGRAM = "pulumi"


@dataclass(frozen=True)
class Holder:
    """The process that took a lock, on which host and when (RFC 3339)."""

    pid: int
    host: str
    since: str
    user: str = ""
    file: Path | None = field(default=None, compare=False)

    def lives(self) -> bool:
        """Tell whether its update may be running; on another host it counts as running.

        A process that began after the lock was taken is another one with the same ID. Clocks can
        be set back and forth, though, so that a `pulumi` counts whenever it began.
        """
        if self.host != socket.gethostname():
            return True
        process = _process(self.pid)
        if process is None:
            return False
        program, began = process
        taken = _time(self.since)
        if began is None or taken is None:
            return True
        return began <= taken + _CLOCK or program.startswith(_PROGRAM)

    def __str__(self) -> str:
        by = f" of {self.user}" if self.user else ""
        return f"process {self.pid}{by} on {self.host} since {self.since}"


def holders(project: Project, stack: str) -> list[Holder]:
    """Read the locks of a stack, the same that make `pulumi up` fail with `locked`.

    Args:
        project: the project; only a file backend has locks that can be read here.
        stack: the stack's name, with or without its organization and project.

    Returns:
        The holders; none for another backend.
    """
    backend = project.file_backend
    if backend is None:
        return []
    owner, name = project.qualified(stack)
    # An old backend has no folders for organizations and projects.
    folders = (backend / "locks" / ORGANIZATION / owner / name, backend / "locks" / name)
    paths = (path for folder in folders for path in sorted(folder.glob("*.json")))
    found = (_holder(path) for path in paths)
    return [holder for holder in found if holder is not None]


def release(holder: Holder) -> None:
    """Remove one lock. `pulumi cancel` would remove one as well that was taken just now."""
    if holder.file is not None:
        holder.file.unlink(missing_ok=True)
        holder.file.with_name(f"{holder.file.name}.attrs").unlink(missing_ok=True)


def _holder(path: Path) -> Holder | None:
    """Read one lock; None where its process removes it just now, or has not written it yet."""
    try:
        lock = json.loads(path.read_text())
        user = str(lock.get("username") or "")
        return Holder(int(lock["pid"]), str(lock["hostname"]), str(lock["timestamp"]), user, path)
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _process(pid: int) -> tuple[str, datetime | None] | None:
    """Find the program of a process and when it began; None where no such process runs.

    A process that has ended, and whose parent has not asked for its exit code, does not run.
    """
    if pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        pass  # it is another user's
    described = _by_proc(pid) or _by_ps(pid)
    if described is None:
        return "", None
    state, program, began = described
    return None if state.startswith("Z") else (program, began)


def _by_proc(pid: int) -> tuple[str, str, datetime | None] | None:
    """Read state, program and start of a process on Linux."""
    with suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text()
        program, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return fields[0], program, datetime.now(UTC) - timedelta(seconds=uptime - ticks)
    return None


def _by_ps(pid: int) -> tuple[str, str, datetime | None] | None:
    """Ask `ps` for state, program and start of a process, on any other Unix."""
    with suppress(OSError, ValueError):
        printed = subprocess.run(
            ["ps", "-o", "stat=,etime=,comm=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        state, elapsed, program = printed.strip().split(None, 2)
        return state, Path(program).name, datetime.now(UTC) - _elapsed(elapsed)
    return None


def _elapsed(text: str) -> timedelta:
    """Read how long a process has run, as `ps` writes it: [[days-]hours:]minutes:seconds."""
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (["0", "0", *clock.split(":")])[-3:]
    return timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds)
    )


def _time(text: str) -> datetime | None:
    """Read a time of Pulumi, which has up to nine digits of a second; None where it is none."""
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
