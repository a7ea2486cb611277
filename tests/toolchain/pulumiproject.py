"""A small Pulumi project in a folder, with its own backend, run by the real CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi") / "bin"
"""Where the programs under test are installed, by `python3 -m toolchain`."""

TIMEOUT = 300.0
"""Seconds for one command of the CLI."""

PATIENCE = 120.0
"""Seconds to wait for a condition; a test that passes does not wait that long."""


@dataclass(frozen=True)
class Result:
    """The exit code of a command and what it printed, on both streams."""

    code: int
    text: str


def environment(state: Path) -> dict[str, str]:
    """Return the environment of a CLI whose backend is a folder, with stack `dev` selected."""
    # PULUMI_CONFIG* would reach the program, which must get only its stack's config;
    # PYTHONUNBUFFERED would hide a language host that lets Python buffer its output.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PULUMI_CONFIG") and name != "PYTHONUNBUFFERED"
    }
    return {
        **inherited,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        # Without metadata beside the state: those files are not written atomically, and a CLI
        # that is killed leaves an empty one, which makes the state unreadable.
        "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": "for a temporary stack",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": "dev",
    }


def write_project(folder: Path, runtime: dict[str, object]) -> None:
    """Write the project's file, as JSON, which is YAML too."""
    (folder / "Pulumi.yaml").write_text(json.dumps({"name": "test", "runtime": runtime}))


@dataclass
class Project:
    """A project with a new stack `dev`; its program uses the virtual environment of the tests."""

    folder: Path
    new_stack: Path
    """A folder with the stack's config file and backend, to copy."""
    options: dict[str, str] = field(default_factory=lambda: {"virtualenv": sys.prefix})

    def __post_init__(self) -> None:
        shutil.copytree(self.new_stack, self.folder)
        self.state = self.folder / ".state"
        runtime: dict[str, object] = {"name": "python", "options": self.options}
        write_project(self.folder, runtime)
        self.environment = environment(self.state)

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

    def run(self, *arguments: str | Path) -> Result:
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
        return Result(done.returncode, done.stdout)

    def succeed(self, *arguments: str | Path) -> str:
        """Run the CLI, which must succeed, and return what it printed."""
        result = self.run(*arguments)
        assert result.code == 0, result.text
        return result.text

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
