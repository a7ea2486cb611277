"""Processor time and memory of processes, by the part that they have in answering requests."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BALANCER = "balancer"
APPS = "apps"
PORT_PROXY = "port proxy"
ENGINE = "engine"
ROLES = (BALANCER, PORT_PROXY, ENGINE, APPS)

PROC = Path("/proc")
_HERTZ = os.sysconf("SC_CLK_TCK")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
# Names as in /proc/PID/stat, which has 15 characters of them. The engine stores containers' logs.
_HOST = {
    "docker-proxy": PORT_PROXY,
    "dockerd": ENGINE,
    "docker-containe": ENGINE,
    "containerd": ENGINE,
    "containerd-shim": ENGINE,
}


@dataclass(frozen=True)
class Process:
    """What a process is, and its processor time so far in seconds."""

    role: str
    seconds: float


def role(name: str, cgroup: str, containers: Mapping[str, str]) -> str | None:
    """Tell what a process is; None when it has no part.

    Args:
        name: the name of its program, as the kernel cuts it off.
        cgroup: the text of /proc/PID/cgroup, of either version.
        containers: what each container is, by its ID.
    """
    for found in _CONTAINER.findall(cgroup):
        return containers.get(found)
    return _HOST.get(name)


def name_and_seconds(stat: str) -> tuple[str, float]:
    """Read the name and the processor time in seconds from the text of /proc/PID/stat."""
    start, _, rest = stat.rpartition(")")
    fields = rest.split()
    # utime and stime are fields 14 and 15; the list begins with field 3.
    return start.partition("(")[2], (int(fields[11]) + int(fields[12])) / _HERTZ


def busy_seconds(stat: str) -> float:
    """Read the time that all processors spent on processes so far from the text of /proc/stat."""
    user, nice, system = stat.split("\n", 1)[0].split()[1:4]
    return (int(user) + int(nice) + int(system)) / _HERTZ


def spent(before: Mapping[int, Process], after: Mapping[int, Process]) -> dict[str, float]:
    """Return the seconds that each role spent between two looks.

    The time of a process that ended in between is not known, and left out.
    """
    seconds = dict.fromkeys(ROLES, 0.0)
    for pid, process in after.items():
        earlier = before.get(pid)
        start = earlier.seconds if earlier and earlier.role == process.role else 0.0
        seconds[process.role] += max(0.0, process.seconds - start)
    return seconds


def look(containers: Mapping[str, str]) -> dict[int, Process]:
    """Find the processes that have a role, by their IDs; of this host's engine only."""
    found = {}
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        # It may have ended.
        with suppress(OSError):
            name, seconds = name_and_seconds((folder / "stat").read_text())
            its_role = role(name, (folder / "cgroup").read_text(), containers)
            if its_role:
                found[int(folder.name)] = Process(its_role, seconds)
    return found


def engine_seconds(containers: Collection[str]) -> float:
    """Read the processor time of the engine, and of what it started for some containers.

    Args:
        containers: their IDs.
    """
    total = 0.0
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            stat, command = (folder / "stat").read_text(), (folder / "cmdline").read_text()
            name, seconds = name_and_seconds(stat)
            if _HOST.get(name) != ENGINE:
                continue
            of = _CONTAINER.findall(command)
            if not of:
                total += seconds
            elif of[0] in containers:
                # The shim of a container starts its healthchecks, whose time counts at their end.
                total += seconds + _children_seconds(stat)
    return total


def _children_seconds(stat: str) -> float:
    fields = stat.rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _HERTZ


def memory_mib(pids: Iterable[int]) -> float:
    """Add up the proportional set sizes of processes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            text = (PROC / str(pid) / "smaps_rollup").read_text()
            total += int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0])
    return total / 1024
