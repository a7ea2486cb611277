"""The `pulumi` command in a project's folder."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from loadbalancer.formats import escape_control_chars

_LONGEST_REASON = 300
_NOT_FOUND = re.compile(r"^error: no stack named '.*' found", re.MULTILINE)
_LOCKED = re.compile(
    # A file backend, and Pulumi Cloud.
    r"^error: (?:the stack is currently locked by|\[409\] Conflict: Another update)",
    re.MULTILINE,
)


class PulumiError(RuntimeError):
    """A command failed; the message is Pulumi's own reason, `output` all that it printed."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class StackNotFoundError(PulumiError):
    """The backend has no such stack."""


class LockedError(PulumiError):
    """Another update of the stack is running, or was killed and left its lock."""


class Pulumi:
    """Runs `pulumi` in a project's folder. None of its methods selects a stack."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Run in a folder, with variables beside those of this process."""
        self._folder = folder
        self._environment = dict(environment or {})

    def run(self, *arguments: str, stack: str | None = None) -> str:
        """Run a command to its end, whatever happens to this process, and return what it prints.

        It has a session of its own, which no Ctrl-C reaches. It prints to files: a pipe that is
        not read any more would end an update half way.

        Raises:
            StackNotFoundError: when the backend has no such stack.
            LockedError: when another update holds the stack.
            PulumiError: when it fails for another reason.
        """
        with _file() as out, _file() as err:
            process = self._start(
                self.command(*arguments, stack=stack),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            # Not subprocess.run, which kills the command when Ctrl-C is pressed meanwhile.
            code = process.wait()
            out.seek(0)
            err.seek(0)
            printed, complaints = out.read(), err.read()
        if code:
            raise error_of(printed, complaints)
        return printed.rstrip("\n")

    def show(self, *arguments: str, stack: str | None = None) -> None:
        """Run a command in the foreground: it prints here, and ends in order after Ctrl-C.

        Raises:
            PulumiError: when it fails; it has printed the reason.
        """
        with _interrupts_left_to_the_command():
            code = self._start(self.command(*arguments, stack=stack)).wait()
        if code:
            raise PulumiError(f"pulumi {arguments[0]} failed; its message is above")

    def up(self, stack: str, *, message: str = "", replace: Sequence[str] = ()) -> str:
        """Bring a stack up without a preview, by a real `pulumi up`; errors as of `run`."""
        options = ["--message", message] if message else []
        options += [f"--replace={urn}" for urn in replace]
        return self.run("up", "--yes", "--skip-preview", *options, stack=stack)

    def outputs(self, stack: str) -> dict[str, Any]:
        """Return a stack's outputs; empty before its first update."""
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json", stack=stack))
        return found

    def set_all(self, stack: str, values: Mapping[str, Any]) -> None:
        """Write config values, in the form of `pulumi config --json`, as one change of the file."""
        self.run("config", "set-all", "--json", json.dumps(values), stack=stack)

    def command(self, *arguments: str, stack: str | None = None) -> list[str]:
        """Write the command line."""
        options = [] if stack is None else ["--stack", stack]
        return ["pulumi", *arguments, *options, "--non-interactive"]

    def _start(self, command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        environ = {**os.environ, **self._environment}
        try:
            return subprocess.Popen(command, cwd=self._folder, env=environ, text=True, **options)
        except FileNotFoundError as error:
            raise PulumiError(
                'pulumi not found on PATH. Set the environment: eval "$(./lb env)"'
            ) from error


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


@contextmanager
def _interrupts_left_to_the_command() -> Iterator[None]:
    """Do nothing on Ctrl-C: the terminal sends it to the command as well, which ends in order."""
    before = signal.getsignal(signal.SIGINT)
    # Unlike SIG_IGN, a handler of this process is not inherited by the command.
    signal.signal(signal.SIGINT, before if before is signal.SIG_IGN else lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def error_of(printed: str, complaints: str) -> PulumiError:
    """Classify the failure of a command by what it printed to stdout and to stderr."""
    output = f"{printed}\n{complaints}".strip()
    kind = PulumiError
    if _NOT_FOUND.search(complaints):
        kind = StackNotFoundError
    elif _LOCKED.search(complaints):
        kind = LockedError
    return kind(_reason(output), output)


def _reason(output: str) -> str:
    """Pick the lines that say what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line.partition("error: ")[2] for line in lines if "error: " in line]
    reasons = [line for line in dict.fromkeys(reasons) if line and line != "update failed"]
    reason = "; ".join(reasons) or (lines[-1] if lines else "no reason given")
    return escape_control_chars(reason)[:_LONGEST_REASON]
