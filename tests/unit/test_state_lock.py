"""Locks of a stack in a file backend."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from loadbalancer.state import lock
from loadbalancer.state.lock import Holder
from loadbalancer.state.project import Project

SINCE = "2026-11-27T17:00:00Z"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, "loadbalancer", tmp_path.as_uri())


def _write(project: Project, name: str, text: str) -> None:
    assert project.file_backend is not None
    folder = project.file_backend / "locks/organization/loadbalancer/dev"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def _lock(pid: int, host: str) -> str:
    return json.dumps({"pid": pid, "username": "user", "hostname": host, "timestamp": SINCE})


def test_the_locks_of_a_stack_are_read(project: Project) -> None:
    assert lock.holders(project, "dev") == []
    _write(project, "a.json", _lock(1, "here"))
    _write(project, "b.json", _lock(2, "there"))
    found = [Holder(1, "here", SINCE), Holder(2, "there", SINCE)]
    assert lock.holders(project, "dev") == found
    assert lock.holders(project, "organization/loadbalancer/dev") == found
    assert lock.holders(project, "other") == []


@pytest.mark.parametrize("text", ["", "{}", '{"pid":'])
def test_a_lock_that_is_just_being_written_is_left_out(project: Project, text: str) -> None:
    _write(project, "a.json", text)
    assert lock.holders(project, "dev") == []


def test_another_backend_has_no_locks_to_read(tmp_path: Path) -> None:
    assert lock.holders(Project(tmp_path, "loadbalancer", "https://api.pulumi.com"), "dev") == []


def test_a_lock_is_stale_when_its_process_has_ended() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = socket.gethostname()
    assert Holder(os.getpid(), here, SINCE).lives()
    assert not Holder(ended.pid, here, SINCE).lives()
    assert Holder(ended.pid, f"not-{here}", SINCE).lives()
