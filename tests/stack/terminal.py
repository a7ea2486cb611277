"""Verbs of the command line on a stack: run to their end, or until Ctrl-C with what they print."""

import codecs
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from loadbalancer.engine.wait import Wait
from tests.stack.deployment import Deployment

PATIENCE = Wait(timeout=300, interval=0.05)
"""A verb starts Python and Pulumi, which takes seconds on a busy machine."""


def _command(stack: Deployment, verb: tuple[str, ...]) -> list[str]:
    """Write a command line; the terminal is one that can do more than print lines."""
    python = ("env", "TERM=xterm", sys.executable, "-m", "loadbalancer")
    return [*python, *verb, "--stack", stack.name]


def run(stack: Deployment, *verb: str) -> tuple[int, str, str]:
    """Run a verb to its end; returns its exit code, what it printed, and its errors."""
    command = _command(stack, verb)
    process = stack.process(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=500)
    return process.returncode, out, err


@dataclass
class Running:
    """A verb that runs. `code` is its exit code, once it has ended.

    `complete` says that it has ended and that everything it printed has been taken.
    """

    process: "subprocess.Popen[str]"
    printed: str = ""
    complete: bool = False
    code: int | None = None

    @property
    def lines(self) -> list[str]:
        """The lines that are complete."""
        return self.printed.split("\n")[:-1]

    def take(self, file: int) -> None:
        """Take what is printed, until there is no more."""
        # What is there to be read may end in the middle of a character.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with suppress(OSError):  # how a terminal ends
            while read := os.read(file, 65536):
                self.printed += decoder.decode(read)
        self.complete = True

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until a text was printed, so many times."""

        def look() -> object:
            complete = self.complete
            if self.printed.count(text) >= count:
                return None
            assert not complete, self.printed
            return self.printed[-3000:]

        PATIENCE.until(f"{text!r} to be printed", look)


@contextmanager
def running(stack: Deployment, *verb: str, terminal: bool = False) -> Iterator[Running]:
    """Run a verb for as long as the block runs, on a terminal or on a pipe; then press Ctrl-C."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(ours, (40, 120))
    process = stack.process(
        *_command(stack, verb), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    found = Running(process)
    reader = threading.Thread(target=found.take, args=(ours,))
    reader.start()
    try:
        yield found
        process.send_signal(signal.SIGINT)
        found.code = process.wait(timeout=300)
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(ours)
