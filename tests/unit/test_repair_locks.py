"""Locks that `repair` releases: those of updates that were killed, and no other."""

import json
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from loadbalancer.drift import repair
from loadbalancer.drift.repair import RepairError
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi


class Commands:
    """Takes the place of Pulumi, and notes the commands."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def run(self, *arguments: str, stack: str) -> str:
        self.made.append(f"{' '.join(arguments)} {stack}")
        return ""


def release(project: Project, *, force: bool = False) -> tuple[list[str], list[str]]:
    """Release the locks of a stack; returns what is reported, and the commands."""
    commands, said = Commands(), list[str]()
    repair._release_locks(project, "dev", cast(Pulumi, commands), said.append, force=force)
    return said, commands.made


@pytest.mark.parametrize("backend", ["https://api.pulumi.com", "s3://bucket", "azblob://c"])
def test_a_backend_that_does_not_tell_who_holds_a_lock_needs_force(
    tmp_path: Path, backend: str
) -> None:
    project = Project(tmp_path, "loadbalancer", backend)
    assert release(project) == ([], [])
    assert release(project, force=True) == ([], ["cancel --yes dev"])


def lock(project: Project, pid: int, host: str) -> Path:
    assert project.file_backend is not None
    folder = project.file_backend / "locks/organization/loadbalancer/dev"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat()
    path = folder / f"{pid}.json"
    content = {"pid": pid, "username": "me", "hostname": host, "timestamp": now}
    path.write_text(json.dumps(content))
    return path


def test_a_stale_lock_is_released_without_pulumi(tmp_path: Path) -> None:
    project = Project(tmp_path, "loadbalancer", "file://.")
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = lock(project, ended.pid, socket.gethostname())
    said, commands = release(project)
    assert (stale.exists(), commands) == (False, [])
    (line,) = said
    assert line.startswith(f"releasing the stale lock of process {ended.pid} of me on ")


@pytest.mark.parametrize("host", [socket.gethostname(), "another"])
def test_the_lock_of_an_update_that_may_run_stays(tmp_path: Path, host: str) -> None:
    project = Project(tmp_path, "loadbalancer", "file://.")
    held = lock(project, os.getpid(), host)
    with pytest.raises(RepairError) as raised:
        release(project)
    assert held.exists()
    assert f"process {os.getpid()} of me on {host}" in str(raised.value)
    assert str(raised.value).endswith("./lb repair --force --stack dev")
    release(project, force=True)
    assert not held.exists()
