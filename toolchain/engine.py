"""The Docker engine: the one that answers, else Debian's, installed and started.

Needs the Docker SDK, so it can be imported only after `virtualenv.activate`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, StreamParseError
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from loadbalancer.engine import address
from loadbalancer.engine.client import connect
from toolchain import debian
from toolchain.run import run
from toolchain.steps import How, Outcome, Report, ToolchainError

ANSWER = 5.0
"""Seconds within which a working engine has answered a small question."""

PACKAGES = ("docker.io", "ca-certificates", "procps")
"""What to install; procps because the engine answers `docker top` by running ps on its machine."""
LOG = Path("/var/log/dockerd.log")
SYSTEMD = Path("/run/systemd/system")
PIDFILES = {
    "dockerd": Path("/var/run/docker.pid"),
    "containerd": Path("/var/run/docker/containerd/containerd.pid"),
}
START_TIMEOUT = 60.0
POLL = 0.2
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

OPEN_FILES = 1_048_576
"""File descriptors for an engine that is started here, as many as Linux allows by default.

Docker's userland proxy inherits the limit, uses up to 6 a connection, and exits when it has none
left: the published port is dead then, while its container stays healthy.
"""


class EngineError(ToolchainError):
    """No Docker engine answers, or the engine refused a request."""


@contextmanager
def connection(timeout: float = ANSWER) -> Iterator[docker.DockerClient]:
    """Connect to the engine; `timeout` is the longest silence of the engine, in seconds.

    Raises EngineError when no engine answers, and for every failure while the connection is used.
    """
    host = _address().host
    try:
        client = connect(timeout)
    except (DockerException, RequestException) as error:
        raise EngineError(f"no Docker engine answers at {host}: {error}") from error
    try:
        yield client
    except (DockerException, StreamParseError, RequestException, HTTPError) as error:
        raise EngineError(f"the Docker engine at {host}: {error}") from error
    finally:
        client.close()


def _address() -> address.Address:
    """Find the engine that `docker ps` uses. Raises EngineError when there is none of that name."""
    try:
        return address.resolve()
    except address.AddressError as error:
        raise EngineError(str(error)) from error


def version() -> str:
    """Return the engine's version. Raises EngineError when no engine answers."""
    with connection() as client:
        return str(client.version()["Version"])


@dataclass(frozen=True)
class Situation:
    """What is known of an engine that does not answer, and of this machine."""

    host: str
    """The address that was tried."""
    source: str
    """The variable or the context that names the address; empty where nothing does."""
    denied: bool
    """Whether the socket exists and this user may not use it."""
    installed: bool
    root: bool
    not_installable: str | None
    """Why packages cannot be installed here; None when they can."""


def plan(situation: Situation) -> list[str]:
    """Return what to do, in order: "install", "start".

    An engine that DOCKER_HOST or a context names is never started from here. Raises ToolchainError
    when nothing can be done.
    """
    if situation.source:
        is_context = situation.source.startswith("context ")
        fix = "export DOCKER_CONTEXT=default" if is_context else f"unset {situation.source}"
        raise ToolchainError(
            f"no Docker engine answers at {situation.host}, which {situation.source} names. Start "
            f"that engine, or use the local one: {fix}"
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
            "the Docker engine is installed but not running, and starting it needs root: "
            "sudo systemctl start docker"
        )
    if situation.not_installable is None:
        return ["install", "start"]
    raise ToolchainError(
        f"no Docker engine answers at {situation.host}, and none can be installed: "
        f"{situation.not_installable}. Install one (https://docs.docker.com/engine/install/), or "
        "name one that runs: export DOCKER_HOST=ssh://USER@MACHINE"
    )


def ensure(report: Report) -> Outcome:
    """Make sure that a Docker engine answers; install and start one where that is possible."""
    found = _address()
    host = found.host
    try:
        return Outcome("found", f"{version()} at {host}")
    except EngineError:
        pass  # `plan` says what to do about it
    # A variable may name the usual engine, which can be started.
    chosen = host != address.LOCAL
    socket = Path(address.LOCAL.removeprefix("unix://"))
    steps = plan(
        Situation(
            host=host,
            source=found.source if chosen else "",
            denied=not chosen and socket.exists() and not os.access(socket, os.R_OK | os.W_OK),
            installed=dockerd() is not None,
            root=os.geteuid() == 0,
            not_installable=debian.why_not_installable(),
        )
    )
    if "install" in steps:
        debian.install(PACKAGES, report)
    started = start(report)
    how: How = "installed" if "install" in steps else "found"
    return Outcome(how, f"{started} at {host}, started")


def dockerd() -> str | None:
    """Return where the engine's program is; it is often not on a user's PATH."""
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def start(report: Report) -> str:
    """Start the installed engine, wait until it answers, and return its version."""
    process: subprocess.Popen[bytes] | None = None
    if SYSTEMD.is_dir():
        run(
            ["systemctl", "enable", "--now", "docker"],
            report=report,
            failure="See `journalctl -u docker`.",
        )
    elif "dockerd" not in remove_stale(PIDFILES):
        process = spawn(dockerd() or "dockerd")
    return wait(process, report)


def spawn(program: str) -> subprocess.Popen[bytes]:
    """Start an engine without an init system, with enough file descriptors.

    It gets a session of its own, so that Ctrl-C in this terminal does not reach it.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log, raised_open_files():
        return subprocess.Popen(
            [program],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def raised_open_files() -> Iterator[None]:
    """Raise RLIMIT_NOFILE to OPEN_FILES, or as far as this user may, for what is started here.

    It must be set before the engine starts: Go programs give their children the limit that they
    were started with.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in open_files_limits(*before):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
        except (ValueError, OSError):
            continue  # only root may raise the hard limit, and not in every container
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_files_limits(soft: int, hard: int) -> list[tuple[int, int]]:
    """Return the soft and hard limits to try, the best first, for the limits of this process.

    No limit is lowered. An unlimited hard limit stays, but the soft limit does not become
    unlimited: programs that close every possible descriptor would take minutes.
    """
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= OPEN_FILES:
        return [(soft, hard)]
    if hard == unlimited or hard >= OPEN_FILES:
        return [(OPEN_FILES, hard)]
    return [(OPEN_FILES, OPEN_FILES), (hard, hard)]


def remove_stale(pidfiles: Mapping[str, Path], proc: Path = Path("/proc")) -> set[str]:
    """Remove the pid files of programs that have ended, and return the programs that run."""
    running = {name for name, path in pidfiles.items() if is_running(path, name, proc)}
    for name in pidfiles.keys() - running:
        pidfiles[name].unlink(missing_ok=True)
    return running


def is_running(pidfile: Path, program: str, proc: Path = Path("/proc")) -> bool:
    """Return whether the process that a pid file names is that program.

    After a restart of the machine the number may belong to another program, and dockerd would
    refuse to start because it seems to run already.
    """
    try:
        number = int(pidfile.read_text())
        return (proc / str(number) / "comm").read_text().strip() == program
    except (OSError, ValueError):
        return False


def wait(
    process: subprocess.Popen[bytes] | None, report: Report, timeout: float = START_TIMEOUT
) -> str:
    """Wait until the engine answers, and return its version.

    Raises ToolchainError after `timeout` seconds, or when `process` has ended.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return version()
        except EngineError as error:
            last = error
        report(f"waiting for {_address().host}")
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            what = "ended at once" if ended else f"did not answer within {timeout:.0f} s"
            where = f"see {LOG}" if process is not None else "see `journalctl -u docker`"
            raise ToolchainError(f"the Docker engine {what}; {where}. Last error: {last}")
        time.sleep(POLL)
