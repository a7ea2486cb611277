"""Locks that `repair` releases: those of updates that were killed, and no other."""

import json
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadbalancer import engine
from loadbalancer.drift import repair
from loadbalancer.drift.repair import RepairError
from loadbalancer.state import deployment
from loadbalancer.state.deployment import Desired, RecordedNetwork
from loadbalancer.state.project import Project


class Commands:
    """Takes the place of Pulumi, and notes the commands."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def run(self, *arguments: str, stack: str) -> str:
        self.made.append(f"{' '.join(arguments)} {stack}")
        return ""


class EngineReachedError(Exception):
    """The locks did not keep `repair` from touching the engine."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """What `repair` runs before it connects to the engine of a stack that is up."""
    found = Commands()

    def connect() -> None:
        raise EngineReachedError

    monkeypatch.setattr(repair, "Pulumi", lambda _: found)
    monkeypatch.setattr(engine, "connect", connect)
    up = Desired(recorded=(RecordedNetwork("r", "n"),))
    monkeypatch.setattr(deployment, "read", lambda *_: up)
    return found


def release(project: Project, *, force: bool = False) -> list[str]:
    """Repair a stack until the engine is reached; returns what is reported."""
    said: list[str] = []
    with pytest.raises(EngineReachedError):
        repair.repair(project, "dev", said.append, force=force)
    return said


ROOT = "urn:pulumi:dev::loadbalancer::pulumi:pulumi:Stack::loadbalancer-dev"


@pytest.mark.parametrize("backend", ["https://api.pulumi.com", "s3://bucket", "azblob://c"])
def test_a_backend_that_does_not_tell_who_holds_a_lock_needs_force(
    tmp_path: Path, commands: Commands, backend: str
) -> None:
    project = Project(tmp_path, "loadbalancer", backend)
    release(project)
    # This fails where the stack is locked, and with it `repair`, before anything is touched.
    probe = f"refresh --yes --skip-preview --clear-pending-creates --target {ROOT} dev"
    assert commands.made == [probe]
    release(project, force=True)
    assert commands.made == [probe, "cancel --yes dev"]


def lock(project: Project, pid: int, host: str) -> Path:
    assert project.file_backend is not None
    folder = project.file_backend / "locks/organization/loadbalancer/dev"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat()
    path = folder / f"{pid}.json"
    content = {"pid": pid, "username": "me", "hostname": host, "timestamp": now}
    path.write_text(json.dumps(content))
    return path


def test_a_stale_lock_is_released_without_pulumi(tmp_path: Path, commands: Commands) -> None:
    project = Project(tmp_path, "loadbalancer", "file://.")
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = lock(project, ended.pid, socket.gethostname())
    (line,) = release(project)
    assert (stale.exists(), commands.made) == (False, [])
    assert line.startswith(f"releasing the stale lock of process {ended.pid} of me on ")


@pytest.mark.parametrize("host", [socket.gethostname(), "another"])
@pytest.mark.usefixtures("commands")
def test_the_lock_of_an_update_that_may_run_stays(tmp_path: Path, host: str) -> None:
    project = Project(tmp_path, "loadbalancer", "file://.")
    held = lock(project, os.getpid(), host)
    with pytest.raises(RepairError) as raised:
        repair.repair(project, "dev", print)
    assert held.exists()
    assert f"process {os.getpid()} of me on {host}" in str(raised.value)
    assert str(raised.value).endswith("./lb repair --force --stack dev")
    release(project, force=True)
    assert not held.exists()
