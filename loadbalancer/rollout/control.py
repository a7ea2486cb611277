"""Control of a running rollout: its lock, requests of other terminals, and the operator."""

import fcntl
import getpass
import json
import os
import secrets
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

from loadbalancer import names
from loadbalancer.rollout.errors import AlreadyRunningError


class Request(StrEnum):
    """What another terminal may request of a running rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    PROMOTE_FULL = "promote to the last step"
    ABORT = "abort"


@dataclass(frozen=True)
class Command:
    """A request of another terminal, and what it is for.

    `rollout` is the id of the rollout and `position` how many of its steps had been entered when
    the request was made: one that arrives later than that is not for the step of then.
    """

    request: Request
    rollout: str
    position: int
    id: str = ""


@dataclass(frozen=True)
class Reply:
    """What the running rollout says to a command, and whether it did what was requested."""

    text: str
    done: bool


class Answer(StrEnum):
    """What the operator may answer after Ctrl-C."""

    HALT = "halt"
    CONTINUE = "continue"
    ROLL_BACK = "roll back"


@dataclass
class Holder:
    """The process that runs a rollout; `started` tells it from a later one with the same PID."""

    user: str
    host: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}"


def this_process() -> Holder:
    """Describe this process."""
    pid = os.getpid()
    return Holder(getpass.getuser(), socket.gethostname(), pid, _started(pid))


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since the boot; empty if it is not known."""
    try:
        # The name before the last parenthesis may contain spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


class Control:
    """Files of a stack in the project's folder: a lock, a command of another terminal, a reply."""

    def __init__(self, project: Path, stack: str) -> None:
        self._folder = project / ".rollout"
        self._lock = self._folder / f"{names.slug(stack)}.lock"
        self._request = self._folder / f"{names.slug(stack)}.request"
        self._reply = self._folder / f"{names.slug(stack)}.reply"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock, which the kernel releases when the process ends, however it ends.

        Raises:
            AlreadyRunningError: when another process holds it.
        """
        self._folder.mkdir(exist_ok=True)
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError from None
            # It was meant for an earlier rollout.
            self._request.unlink(missing_ok=True)
            self._reply.unlink(missing_ok=True)
            yield

    def is_running(self) -> bool:
        """Tell whether a process holds the lock; changes nothing."""
        if not self._lock.exists():
            return False
        with self._lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def send(self, command: Command) -> Command:
        """Leave a command for the running rollout; returns it with the id that a reply has."""
        sent = replace(command, id=secrets.token_hex(4))
        _write(self._request, asdict(sent))
        return sent

    def receive(self) -> Command | None:
        """Take the command of another terminal, once."""
        # Moved first, so that a command that comes while this one is read is not lost.
        taken = self._request.with_suffix(".taken")
        try:
            self._request.replace(taken)
        except FileNotFoundError:
            return None
        found = _read(taken)
        taken.unlink(missing_ok=True)
        try:
            return Command(**{**found, "request": Request(found["request"])})
        except (KeyError, TypeError, ValueError):
            return None

    def reply(self, command: Command, reply: Reply) -> None:
        """Answer a command."""
        _write(self._reply, {"id": command.id, **asdict(reply)})

    def wait_for_reply(self, command: Command, patience: float) -> Reply | None:
        """Wait some seconds for the reply to a command; None if there is none yet."""
        deadline = time.monotonic() + patience
        while True:
            found = _read(self._reply)
            if found.pop("id", None) == command.id:
                return Reply(**found)
            if time.monotonic() >= deadline or not self.is_running():
                return None
            time.sleep(0.05)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file so that a reader finds it whole."""
    draft = path.with_suffix(f"{path.suffix}.new")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


Quiet = Callable[[], AbstractContextManager[None]]

_AFTER_INTERRUPT = "Halt here (h), continue (c), or roll back (r)? "
_ANSWERS = {"h": Answer.HALT, "c": Answer.CONTINUE, "r": Answer.ROLL_BACK}


class Operator:
    """The person at the terminal, if there is one.

    A first Ctrl-C asks what to do. Without a terminal, and at a second Ctrl-C, the rollout halts;
    so it does at SIGTERM and when the terminal is closed.
    """

    def __init__(self, quiet: Quiet) -> None:
        """Ask questions while `quiet` keeps the view off the terminal."""
        self.present = sys.stdin.isatty() and sys.stdout.isatty()
        self._quiet = quiet
        self._interrupted = False
        self._terminated = False
        self._asking = False
        self._question = ""

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Note signals instead of being ended by them."""
        before = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._interrupted = True
        else:
            self._terminated = True

    @property
    def asking(self) -> bool:
        """Whether the question after Ctrl-C waits for its answer."""
        return self._asking

    def interruption(self) -> Answer | None:
        """After a signal, find out what to do; None when there was none, or no answer yet.

        Another Ctrl-C, and the end of the input, halt.
        """
        if self._terminated or (self._interrupted and (self._asking or not self.present)):
            return Answer.HALT
        if self._interrupted:
            self._interrupted, self._asking = False, True
            self._ask(f"\n{_AFTER_INTERRUPT}")
        line = _read_line() if self._asking else None
        if line is None:
            return None
        answer = _ANSWERS.get(line.strip().lower()[:1], None if line else Answer.HALT)
        if answer is None:
            self._ask(_AFTER_INTERRUPT)
        else:
            self._asking = False
        return answer

    def answer(self, question: str) -> bool | None:
        """Return whether a question was answered with yes or no; None while it is not answered."""
        if not self.present or self._asking:
            return None
        if question != self._question:
            self._question = question
            self._ask(f"{question} (y/n)\n")
        line = (_read_line() or "").strip().lower()
        if line[:1] not in {"y", "n"}:
            return None
        self._question = ""
        return line[:1] == "y"

    def _ask(self, question: str) -> None:
        # What was typed before the question is no answer to it.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        with self._quiet():
            print(question, end="", flush=True)


def _read_line() -> str | None:
    """Read a line that was typed, the empty text at the end of the input; None if there is none.

    Not through the buffer of sys.stdin, in which a further line would wait for the next question.
    """
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return os.read(sys.stdin.fileno(), 4096).decode(errors="replace") if ready else None
