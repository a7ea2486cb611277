"""The `pulumi` command in a project's folder."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadbalancer.formats import escape_control_chars

_LONGEST_REASON = 300
_GONE = ("no stack named", "no such stack", "stack not found")
_LOCKED = ("is currently locked by", "Another update is currently in progress")


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
    """Runs `pulumi` in a project's folder. No method selects a stack but `select`."""

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
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                self.command(*arguments, stack=stack),
                cwd=self._folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                check=False,
            )
            out.seek(0)
            err.seek(0)
            printed, complaints = out.read(), err.read()
        if done.returncode:
            raise error_of(printed, complaints)
        return printed.rstrip("\n")

    def show(self, *arguments: str, stack: str | None = None) -> None:
        """Run a command in the foreground: it prints here, and Ctrl-C reaches it.

        Raises:
            PulumiError: when it fails; it has said why.
        """
        command = self.command(*arguments, stack=stack)
        done = subprocess.run(command, cwd=self._folder, env=self._environ(), check=False)
        if done.returncode:
            raise PulumiError("Pulumi has said above what is wrong")

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

    def _environ(self) -> dict[str, str]:
        return {**os.environ, **self._environment}


def error_of(printed: str, complaints: str) -> PulumiError:
    """Find out what went wrong from what a failed command printed to its two streams."""
    output = f"{printed}\n{complaints}".strip()
    kind = PulumiError
    if any(sign in output for sign in _GONE):
        kind = StackNotFoundError
    elif any(sign in output for sign in _LOCKED):
        kind = LockedError
    return kind(_reason(output), output)


def _reason(output: str) -> str:
    """Pick the lines that say what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line.partition("error: ")[2] for line in lines if "error: " in line]
    told = [line for line in dict.fromkeys(told) if line and line != "update failed"]
    return escape_control_chars("; ".join(told) or (lines[-1] if lines else "no reason given"))[
        :_LONGEST_REASON
    ]
