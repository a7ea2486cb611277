"""Pulumi's program in a session of its own, which neither Ctrl-C nor our end reaches."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from pulumi import automation
from pulumi.automation.errors import create_command_error

_Listener = Callable[[str], Any] | None


class Detached(automation.PulumiCommand):
    """Runs commands to their end, whatever becomes of this process.

    What they print goes to files: a pipe that nobody reads any more would end an update half way.
    """

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: _Listener = None,
        on_error: _Listener = None,
    ) -> automation.CommandResult:
        """Run `pulumi` with these arguments; raises CommandError where it fails."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                [self.command, *args, "--non-interactive"],
                cwd=cwd,
                env={**self.environment(), **additional_env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                check=False,
            )
            out.seek(0)
            err.seek(0)
            found = automation.CommandResult(out.read().rstrip(), err.read().rstrip(), 0)
        found.code = done.returncode
        for listener, text in ((on_output, found.stdout), (on_error, found.stderr)):
            for line in text.splitlines() if listener else ():
                listener(line)  # type: ignore[misc]
        if found.code:
            raise create_command_error(found)
        return found

    @staticmethod
    def environment() -> dict[str, str]:
        """Build the environment that the Automation API gives to Pulumi's program."""
        return {**os.environ, "PULUMI_AUTOMATION_API": "true"}
