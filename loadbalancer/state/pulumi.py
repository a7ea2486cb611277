"""The `pulumi` command in a project's folder."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from loadbalancer.engine import address
from loadbalancer.formats import escape_control_chars

_LONGEST_REASON = 300
_NOT_FOUND = re.compile(r"^error: no stack named '.*' found", re.MULTILINE)
_LOCKED = re.compile(
    # A file backend, and Pulumi Cloud.
    r"^error: (?:the stack is currently locked by|\[409\] Conflict: Another update)",
    re.MULTILINE,
)
_PASSPHRASE = re.compile(
    r"^error: .*(?:incorrect passphrase|passphrase must be set|PULUMI_CONFIG_PASSPHRASE_FILE: )",
    re.MULTILINE,
)
_LOOK = 0.1
"""Seconds between two looks at what a command in the foreground has written to stderr."""
_ENDING = 10.0
"""Seconds that a command has to end after each signal."""


class PulumiError(RuntimeError):
    """A command failed; the message is Pulumi's own reason, `output` all that it printed.

    `stack` is the name of the stack that it was for; empty for none.
    """

    def __init__(self, message: str, output: str = "", stack: str = "") -> None:
        super().__init__(message)
        self.output = output
        self.stack = stack


class StackNotFoundError(PulumiError):
    """The backend has no such stack."""


class LockedError(PulumiError):
    """Another update of the stack is running, or was killed and left its lock."""


class PassphraseError(PulumiError):
    """The passphrase is missing, or it is not the one with which the stack is encrypted."""


class StalledError(PulumiError):
    """A command took longer than it may, and was ended."""


class Pulumi:
    """Runs `pulumi` in a project's folder. None of its methods selects a stack."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Run in a folder, with variables beside those of this process."""
        self._folder = folder
        self._environment = dict(environment or {})

    def run(self, *arguments: str, stack: str | None = None, timeout: float | None = None) -> str:
        """Run a command to its end, whatever happens to this process, and return what it prints.

        With a time-out, in seconds, it is ended when it takes longer.

        It has a session of its own, which no Ctrl-C reaches. It prints to files: a pipe that is
        not read any more would end an update half way.

        Raises:
            StackNotFoundError: when the backend has no such stack.
            LockedError: when another update holds the stack.
            PassphraseError: when the passphrase is missing or not the right one.
            StalledError: when it took longer than the time-out.
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
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                _end(process)
                message = f"pulumi {arguments[0]} has not ended within {timeout:g} s, and was ended"
                raise StalledError(message) from None
            out.seek(0)
            err.seek(0)
            printed, complaints = out.read(), err.read()
        if code:
            raise error_of(printed, complaints, stack)
        return printed.rstrip("\n")

    def show(self, *arguments: str, stack: str | None = None) -> None:
        """Run a command in the foreground: it prints here, and ends in order after Ctrl-C.

        Raises:
            PulumiError: when it fails, of the class that `run` would raise; it has printed the
                reason.
        """
        with _interrupts_left_to_the_command(), tempfile.NamedTemporaryFile() as err:
            process = self._start(self.command(*arguments, stack=stack), stderr=err)
            complaints = _shown(process, Path(err.name))
        code = process.returncode
        if code:
            error = error_of("", complaints, stack)
            if type(error) is PulumiError:
                message = f"pulumi {arguments[0]} failed; its message is above"
                raise PulumiError(message, error.output, error.stack)
            raise error

    def up(
        self,
        stack: str,
        *,
        message: str = "",
        replace: Sequence[str] = (),
        timeout: float | None = None,
    ) -> str:
        """Bring a stack up without a preview, by a real `pulumi up`; errors as of `run`."""
        options = ["--message", message] if message else []
        options += [f"--replace={urn}" for urn in replace]
        return self.run("up", "--yes", "--skip-preview", *options, stack=stack, timeout=timeout)

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
        environ = address.applied({**os.environ, **self._environment})
        try:
            return subprocess.Popen(command, cwd=self._folder, env=environ, text=True, **options)
        except FileNotFoundError as error:
            raise PulumiError(
                'pulumi not found on PATH. Set the environment: eval "$(./lb env)"'
            ) from error


def _shown(process: "subprocess.Popen[str]", errors: Path) -> str:
    """Print what a command writes to a file of errors until it ends, and return all of it.

    A file, not a pipe: nobody would read it when this process is killed, and with the next message
    the command would end half way.
    """
    found = ""
    with errors.open(encoding="utf-8", errors="replace") as file:
        ended = False
        while not ended:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
                ended = True
            text = file.read()
            found += text
            sys.stderr.write(text)
            sys.stderr.flush()
    return found


def _end(process: "subprocess.Popen[str]") -> None:
    """End a command: as Ctrl-C does, twice, since Pulumi then leaves no lock; else by force."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)
            return
    process.wait()


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


def error_of(printed: str, complaints: str, stack: str | None = None) -> PulumiError:
    """Classify the failure of a command by what it printed to stdout and to stderr."""
    output = f"{printed}\n{complaints}".strip()
    kind = PulumiError
    if _NOT_FOUND.search(complaints):
        kind = StackNotFoundError
    elif _LOCKED.search(complaints):
        kind = LockedError
    elif _PASSPHRASE.search(complaints):
        kind = PassphraseError
    return kind(_reason(output), output, stack or "")


def _reason(output: str) -> str:
    """Pick the lines that say what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line.partition("error: ")[2] for line in lines if "error: " in line]
    reasons = [line for line in dict.fromkeys(reasons) if line and line != "update failed"]
    reason = "; ".join(reasons) or (lines[-1] if lines else "no reason given")
    return escape_control_chars(reason)[:_LONGEST_REASON]
