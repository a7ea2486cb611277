"""One line for each step, progress that moves while it works, and errors that say what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TextIO

Report = Callable[[str], None]
"""Takes one short line that says how far a step is."""

How = Literal["found", "installed", "built", "made", "downloaded"]

LOG_EVERY = 10.0
"""Seconds between two lines of progress where the output is not a terminal."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What colours a terminal; the engine puts it around what a build complains of."""


class ToolchainError(Exception):
    """A step cannot go on.

    The message says what is wrong, and what mends it.
    """


@dataclass(frozen=True)
class Outcome:
    """How a step came by its thing, and which one it is (a version, a place)."""

    how: How
    detail: str


def silent(_line: str) -> None:
    """Take a line of progress and show nothing."""


class Progress:
    """Shows the last line reported: in place on a terminal, now and then elsewhere."""

    def __init__(self, name: str, stream: TextIO | None = None, every: float = LOG_EVERY) -> None:
        """Start the clock of the step called `name`."""
        self.name = name
        self.stream = sys.stdout if stream is None else stream
        self.every = every
        self.started = time.monotonic()
        self.shown = self.started
        self.in_place = self.stream.isatty()
        self.width = 0

    def __call__(self, line: str) -> None:
        """Report `line`; it is shown with the seconds that have passed."""
        now = time.monotonic()
        plain = " ".join(COLOUR.sub("", line).split())
        text = f"{self.name:<16}{plain}  {now - self.started:.0f} s"
        if self.in_place:
            text = text[: os.get_terminal_size(self.stream.fileno()).columns - 1]
            self.stream.write("\r" + text.ljust(self.width))
            self.width = len(text)
            self.stream.flush()
        elif now - self.shown >= self.every:
            self.shown = now
            print(f"  {text}", file=self.stream, flush=True)

    def finish(self, line: str) -> None:
        """Replace what was in progress by the step's one line."""
        if self.in_place and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
        print(line, file=self.stream, flush=True)


def line(name: str, outcome: Outcome, seconds: float) -> str:
    """Lay out the one line a step leaves behind."""
    return f"{name:<16}{outcome.how:<12}{outcome.detail:<60}  {seconds:5.1f} s"


def perform(name: str, work: Callable[[Report], Outcome]) -> Outcome:
    """Run one step and print its line.

    Raises ToolchainError, with the step's name in front, for whatever the step could not do.
    """
    progress = Progress(name)
    try:
        outcome = work(progress)
    except ToolchainError as error:
        progress.finish(f"{name:<16}failed")
        raise ToolchainError(f"{name}: {error}") from error
    except (OSError, subprocess.SubprocessError) as error:
        progress.finish(f"{name:<16}failed")
        raise ToolchainError(f"{name}: {error}") from error
    except KeyboardInterrupt:
        progress.finish(f"{name:<16}interrupted")
        raise
    progress.finish(line(name, outcome, time.monotonic() - progress.started))
    return outcome
