"""A small Pulumi project in a folder and a backend of its own, run by the real CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "bin"
"""Where the programs under test are installed; `make` puts them there."""

TIMEOUT = 300.0
"""Seconds for one command of the CLI."""

PATIENCE = 120.0
"""Seconds to wait for what a test has seen to; it costs nothing where things go well."""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed, on both streams."""

    code: int
    text: str


@dataclass
class Project:
    """A project whose program uses the virtual environment that runs the tests.

    Its stack is called `dev`.
    """

    folder: Path
    options: dict[str, str] = field(default_factory=lambda: {"virtualenv": sys.prefix})

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.state = self.folder / ".state"
        self.state.mkdir()
        runtime = {"name": "python", "options": self.options}
        (self.folder / "Pulumi.yaml").write_text(
            json.dumps({"name": "tried", "runtime": runtime})  # which is YAML too
        )
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            # Without files of metadata beside the state: those are not written in one go, and
            # a CLI killed in between leaves an empty one that hides the state from the next.
            "PULUMI_BACKEND_URL": f"file://{self.state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": "for a stack that is thrown away",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        # What starts so would reach the program, which must get only what its stack has; the last
        # would hide a host that lets Python hold back what is printed.
        kept = "PULUMI_CONFIG_PASSPHRASE"
        for name in list(self.environment):
            if (name.startswith("PULUMI_CONFIG") and name != kept) or name == "PYTHONUNBUFFERED":
                del self.environment[name]

    def write(self, program: str, **modules: str) -> None:
        """Write the program, and modules that it imports."""
        for name, text in {"__main__": program, **modules}.items():
            (self.folder / f"{name}.py").write_text(text)

    def start(self, *arguments: str | Path, log: Path) -> subprocess.Popen[bytes]:
        """Start the CLI and leave it running."""
        with log.open("wb") as out:
            return subprocess.Popen(
                [BIN / "pulumi", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def run(self, *arguments: str | Path) -> Said:
        """Run the CLI to its end."""
        done = subprocess.run(
            [BIN / "pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Said(done.returncode, done.stdout)

    def succeed(self, *arguments: str | Path) -> str:
        """Run the CLI, which must succeed, and return what it printed."""
        said = self.run(*arguments)
        assert said.code == 0, said.text
        return said.text

    def up(self) -> str:
        return self.succeed("up", "--yes", "--skip-preview")

    def destroy(self) -> str:
        return self.succeed("destroy", "--yes", "--skip-preview")


def running(parent: int) -> dict[int, str]:
    """Return the processes below `parent`: their ids and command lines."""
    children: dict[int, list[int]] = {}
    commands: dict[int, str] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            status = (process / "stat").read_text().rpartition(") ")[2].split()
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue  # gone since
        if status[0] != "Z":
            children.setdefault(int(status[1]), []).append(int(process.name))
            commands[int(process.name)] = words.decode(errors="replace").strip()
    below: dict[int, str] = {}
    queue = [parent]
    while queue:
        for child in children.get(queue.pop(), []):
            below[child] = commands[child]
            queue.append(child)
    return below


def still_alive(processes: dict[int, str]) -> dict[int, str]:
    """Return those of the processes that have not ended."""
    alive = {}
    for process, command in processes.items():
        try:
            status = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2]
        except OSError:
            continue
        if not status.startswith("Z"):
            alive[process] = command
    return alive


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for a condition, and say whether it came in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
