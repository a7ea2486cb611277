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
"""Colour codes; the engine puts them around a build's warnings."""


class ToolchainError(Exception):
    """A step failed; the message says what is wrong and how to fix it."""


@dataclass(frozen=True)
class Outcome:
    """How a step got what it is for, and which one: a version, a path."""

    how: How
    detail: str


def silent(_line: str) -> None:
    """Ignore a line of progress."""


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
        """Replace the line of progress by the step's result."""
        if self.in_place and self.width:
            self.stream.write("\r" + " " * self.width + "\r")
        print(line, file=self.stream, flush=True)


def line(name: str, outcome: Outcome, seconds: float) -> str:
    """Return the one line that a step leaves in the output."""
    return f"{name:<16}{outcome.how:<12}{outcome.detail:<60}  {seconds:5.1f} s"


def perform(name: str, work: Callable[[Report], Outcome]) -> Outcome:
    """Run one step and print its line.

    Raises ToolchainError, with the step's name in front, when the step fails.
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
