"""Processor time of Pulumi's processes, by the part that they have in a command."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import PROC, name_and_seconds

ENGINE = "pulumi"
PROGRAM = "program"
DYNAMIC = "dynamic"
DOCKER = "docker"
OTHER = "other"
PARTS = (ENGINE, PROGRAM, DYNAMIC, DOCKER, OTHER)
_MARKS = {
    "pulumi-language-python-exec": PROGRAM,
    "pulumi.dynamic": DYNAMIC,
    "pulumi-resource-docker": DOCKER,
}
_LOOK = 0.02


def part_of(command: str) -> str:
    """Tell the part of a process by its command line, whose arguments end with zero bytes."""
    for mark, found in _MARKS.items():
        if mark in command:
            return found
    program = Path(command.partition("\0")[0]).name
    return ENGINE if program == "pulumi" else OTHER


def descendants(parents: dict[int, int], root: int) -> set[int]:
    """Find a process's descendants, without itself.

    Args:
        parents: the parent of each process.
        root: the process.
    """
    found: set[int] = set()
    new = {root}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def parents_of_all() -> dict[int, int]:
    """Read the parent of each process that runs."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                stat = (folder / "stat").read_text()
                found[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


class Family:
    """Adds up the time of all descendants of this process while a block runs.

    It looks at them 50 times a second, so it misses the last moment of each.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[str, float]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Family":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def seconds(self) -> dict[str, float]:
        """Return the processor seconds of each part."""
        return {
            name: sum(seconds for part, seconds in self._seconds.values() if part == name)
            for name in PARTS
        }

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK):
            for pid in descendants(parents_of_all(), os.getpid()):
                with suppress(OSError):
                    self._look(pid)

    def _look(self, pid: int) -> None:
        _, seconds = name_and_seconds((PROC / str(pid) / "stat").read_text())
        command = (PROC / str(pid) / "cmdline").read_text(errors="replace")
        # One that was forked has its parent's command line at first, and one that has ended none.
        name = part_of(command) if command else self._seconds.get(pid, (OTHER, 0.0))[0]
        self._seconds[pid] = (name, seconds)
