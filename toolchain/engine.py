"""The Docker engine: the one that answers, else Debian's, installed and started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import debian
from toolchain.dockerapi import LOCAL, Engine, EngineError
from toolchain.run import run
from toolchain.steps import How, Outcome, Report, ToolchainError

PACKAGES = ("docker.io", "ca-certificates", "procps")
"""What to install; the last one because the engine answers `top` by running ps on its machine."""
LOG = Path("/var/log/dockerd.log")
SYSTEMD = Path("/run/systemd/system")
PIDFILES = {
    "dockerd": Path("/var/run/docker.pid"),
    "containerd": Path("/var/run/docker/containerd/containerd.pid"),
}
START_TIMEOUT = 60.0
POLL = 0.2
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Situation:
    """What is known of the engine at DOCKER_HOST or at the local socket, which did not answer."""

    host: str
    chosen: bool
    """DOCKER_HOST names it."""
    denied: bool
    """The socket is there, and this user may not use it."""
    installed: bool
    root: bool
    not_installable: str | None
    """Why packages cannot be installed here; None when they can."""


def plan(situation: Situation) -> list[str]:
    """Return what to do, in order: "install", "start". Raises ToolchainError if nothing can be.

    An engine that DOCKER_HOST names is somebody else's to start.
    """
    if situation.chosen:
        raise ToolchainError(
            f"no Docker engine answers at {situation.host}, which DOCKER_HOST names. Start that "
            "engine, or use the local one: unset DOCKER_HOST"
        )
    if situation.denied:
        raise ToolchainError(
            f"this user may not use the Docker engine at {situation.host}. Join its group and "
            'log in again: sudo usermod -aG docker "$USER"'
        )
    if situation.installed and situation.root:
        return ["start"]
    if situation.installed:
        raise ToolchainError(
            "the Docker engine is installed, but does not run, and starting it needs root: "
            "sudo systemctl start docker"
        )
    if situation.not_installable is None:
        return ["install", "start"]
    raise ToolchainError(
        f"no Docker engine answers at {situation.host}, and none can be installed: "
        f"{situation.not_installable}. Install one as its vendor says, or name one that runs: "
        "export DOCKER_HOST=ssh://USER@MACHINE"
    )


def ensure(report: Report) -> Outcome:
    """Make sure that a Docker engine answers."""
    engine = Engine()
    denied = False
    try:
        return Outcome("found", f"{engine.version()} at {engine.host}")
    except EngineError as error:
        denied = isinstance(error.__cause__, PermissionError)
    steps = plan(
        Situation(
            host=engine.host,
            chosen=engine.host != LOCAL,
            denied=denied,
            installed=dockerd() is not None,
            root=os.geteuid() == 0,
            not_installable=debian.why_not_installable(),
        )
    )
    if "install" in steps:
        debian.install(PACKAGES, report)
    version = start(engine, report)
    how: How = "installed" if "install" in steps else "found"
    return Outcome(how, f"{version} at {engine.host}, started")


def dockerd() -> str | None:
    """Return where the engine's program is; it is often not on a user's PATH."""
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def start(engine: Engine, report: Report) -> str:
    """Start the installed engine, wait until it answers, and return its version."""
    process: subprocess.Popen[bytes] | None = None
    if SYSTEMD.is_dir():
        run(
            ["systemctl", "enable", "--now", "docker"],
            report=report,
            failure="See `journalctl -u docker`.",
        )
    elif "dockerd" not in remove_stale(PIDFILES):
        # No init system keeps it, so it gets a session of its own, which no Ctrl-C here reaches.
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                [dockerd() or "dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    return wait(engine, process, report)


def remove_stale(pidfiles: Mapping[str, Path], proc: Path = Path("/proc")) -> set[str]:
    """Remove the pid files of programs that are gone, and return the programs that run."""
    running = {name for name, path in pidfiles.items() if is_running(path, name, proc)}
    for name in pidfiles.keys() - running:
        pidfiles[name].unlink(missing_ok=True)
    return running


def is_running(pidfile: Path, program: str, proc: Path = Path("/proc")) -> bool:
    """Say whether the process that a pid file names is that program.

    After a restart of the machine the number may belong to something else, and dockerd then
    takes itself for running already.
    """
    try:
        number = int(pidfile.read_text())
        return (proc / str(number) / "comm").read_text().strip() == program
    except (OSError, ValueError):
        return False


def wait(
    engine: Engine,
    process: subprocess.Popen[bytes] | None,
    report: Report,
    timeout: float = START_TIMEOUT,
) -> str:
    """Wait until the engine answers, and return its version.

    Raises ToolchainError after `timeout` seconds, or when `process` has ended.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return engine.version()
        except EngineError as error:
            last = error
        report(f"waiting for {engine.host}")
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            what = "ended at once" if ended else f"did not answer within {timeout:.0f} s"
            where = f"see {LOG}" if process is not None else "see `journalctl -u docker`"
            raise ToolchainError(f"the Docker engine {what}; {where}. Last answer: {last}")
        time.sleep(POLL)
