"""Locks: who holds them, in which form a stack and its backend are named, and which are stale."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadbalancer.state import lock
from loadbalancer.state.lock import Holder
from loadbalancer.state.project import Project

SINCE = "2026-11-27T17:00:00.123456789Z"
HERE = socket.gethostname()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, "loadbalancer", tmp_path.as_uri())


def _write(backend: Path | None, name: str, text: str, *, old: bool = False) -> Path:
    assert backend is not None
    folder = backend / ("locks/dev" if old else "locks/organization/loadbalancer/dev")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def _lock(pid: int, host: str) -> str:
    return json.dumps({"pid": pid, "username": "user", "hostname": host, "timestamp": SINCE})


def _now(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def test_the_locks_of_a_stack_are_read_by_any_of_its_names(project: Project) -> None:
    assert lock.holders(project, "dev") == []
    _write(project.file_backend, "a.json", _lock(1, "here"))
    _write(project.file_backend, "b.json", _lock(2, "there"))
    found = [Holder(1, "here", SINCE, "user"), Holder(2, "there", SINCE, "user")]
    for name in ("dev", "organization/dev", "organization/loadbalancer/dev"):
        assert lock.holders(project, name) == found
    assert lock.holders(project, "other") == []
    assert lock.holders(project, "organization/other/dev") == []
    assert str(found[0]) == f"process 1 of user on here since {SINCE}"


@pytest.mark.parametrize(
    "backend", ["file://~", "file://~?metadata=skip", "file://~/", "file://{home}", "file://./home"]
)
def test_the_backend_may_be_named_in_any_form_of_pulumi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    _write(tmp_path / "home/.pulumi", "a.json", _lock(1, "here"))
    project = Project(tmp_path, "loadbalancer", backend.format(home=tmp_path / "home"))
    assert [one.pid for one in lock.holders(project, "dev")] == [1]


def test_a_backend_of_an_old_pulumi_has_no_folder_for_the_project(project: Project) -> None:
    _write(project.file_backend, "a.json", _lock(1, "here"), old=True)
    assert [one.pid for one in lock.holders(project, "dev")] == [1]


@pytest.mark.parametrize("text", ["", "{}", '{"pid":'])
def test_a_lock_that_is_just_being_written_is_left_out(project: Project, text: str) -> None:
    _write(project.file_backend, "a.json", text)
    assert lock.holders(project, "dev") == []


@pytest.mark.parametrize("backend", ["https://api.pulumi.com", "s3://bucket", ""])
def test_another_backend_has_no_locks_to_read(tmp_path: Path, backend: str) -> None:
    assert lock.holders(Project(tmp_path, "loadbalancer", backend), "dev") == []


def test_one_lock_is_released_and_no_other(project: Project) -> None:
    stale = _write(project.file_backend, "a.json", _lock(1, "here"))
    _write(project.file_backend, "a.json.attrs", "{}")
    taken_meanwhile = _write(project.file_backend, "b.json", _lock(2, "there"))
    (first, _) = lock.holders(project, "dev")
    lock.release(first)
    lock.release(first)
    assert list(stale.parent.iterdir()) == [taken_meanwhile]


def test_a_lock_is_stale_when_its_process_has_ended() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert Holder(os.getpid(), HERE, _now()).lives()
    assert not Holder(ended.pid, HERE, SINCE).lives()
    # On another host nobody here can tell.
    assert Holder(ended.pid, f"not-{HERE}", SINCE).lives()


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_a_number_that_is_no_process_is_stale(pid: int) -> None:
    assert not Holder(pid, HERE, SINCE).lives()


@contextmanager
def _program(folder: Path, name: str) -> Iterator[int]:
    """Run a program of some name; yields its process."""
    path = folder / name
    path.symlink_to("/bin/sleep")
    with subprocess.Popen([path, "600"]) as process:
        yield process.pid
        process.kill()


def _without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_by_proc", lambda _: None)


@pytest.mark.parametrize("proc", [True, False])
def test_a_process_that_began_after_the_lock_was_taken_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, proc: bool
) -> None:
    if not proc:
        _without_proc(monkeypatch)
    with _program(tmp_path, "editor") as pid:
        assert not Holder(pid, HERE, _now(minutes=-1)).lives()
        assert Holder(pid, HERE, _now(minutes=1)).lives()
        assert Holder(pid, HERE, "long ago").lives()
    # The clock may have been set after the lock was taken.
    with _program(tmp_path, "pulumi") as pid:
        assert Holder(pid, HERE, _now(minutes=-1)).lives()


@pytest.mark.parametrize("proc", [True, False])
def test_a_process_that_has_ended_unnoticed_by_its_parent_is_gone(
    monkeypatch: pytest.MonkeyPatch, *, proc: bool
) -> None:
    if not proc:
        _without_proc(monkeypatch)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert not Holder(ended.pid, HERE, _now(minutes=1)).lives()
    ended.wait()


def test_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert Holder(1, HERE, _now()).lives()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:07", 7), ("01:02", 62), ("02:00:01", 7201), ("3-00:00:05", 3 * 86400 + 5)],
)
def test_how_long_a_process_has_run(text: str, seconds: int) -> None:
    assert lock._elapsed(text).total_seconds() == seconds
