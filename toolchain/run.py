"""Run a program: its output is progress, and its last lines are in the error."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolchain.steps import Report, ToolchainError

LAST_LINES = 12


def run(
    command: Sequence[str | Path],
    *,
    report: Report | None = None,
    failure: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run `command`, reporting each line that it prints.

    `env` is added to this process's environment. Raises ToolchainError with the last lines
    and `failure` (advice) when the command fails.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
        cwd=cwd,
    ) as process:
        try:
            for text in process.stdout or ():
                if text.strip():
                    last.append(text.rstrip())
                    if report is not None:
                        report(text.strip())
        except BaseException:
            # Ctrl-C reaches the child as well; wait while it cleans up.
            process.terminate()
            process.wait()
            raise
    if process.returncode != 0:
        printed = "\n".join(f"    {text}" for text in last)
        raise ToolchainError(
            f"`{' '.join(str(part) for part in command)}` failed "
            f"(exit code {process.returncode}). {failure}\n{printed}".rstrip()
        )


def output(command: Sequence[str | Path], timeout: float = 30.0) -> str | None:
    """Return what `command` prints, or None when it is missing, fails or takes too long."""
    done = attempt(command, timeout)
    return done.stdout if done is not None and done.returncode == 0 else None


def attempt(
    command: Sequence[str | Path], timeout: float
) -> subprocess.CompletedProcess[str] | None:
    """Run `command`, whatever its exit code; None when it is missing or exceeds `timeout` (s)."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
