from dataclasses import replace
from pathlib import Path
from resource import RLIM_INFINITY

import pytest

from toolchain.engine import (
    OPEN_FILES,
    Situation,
    is_running,
    open_files_limits,
    plan,
    remove_stale,
)
from toolchain.steps import ToolchainError

BARE_ROOT_DEBIAN = Situation(
    host="unix:///var/run/docker.sock",
    source="",
    denied=False,
    installed=False,
    root=True,
    not_installable=None,
)


def test_a_bare_machine_gets_an_engine() -> None:
    assert plan(BARE_ROOT_DEBIAN) == ["install", "start"]


def test_an_installed_engine_is_started() -> None:
    assert plan(replace(BARE_ROOT_DEBIAN, installed=True)) == ["start"]


def test_an_engine_that_docker_host_names_is_never_replaced() -> None:
    chosen = replace(BARE_ROOT_DEBIAN, source="DOCKER_HOST", host="tcp://build.example:2375")
    with pytest.raises(ToolchainError, match=r"tcp://build.example:2375.*unset DOCKER_HOST"):
        plan(chosen)


def test_an_engine_that_a_context_names_is_never_replaced() -> None:
    chosen = replace(BARE_ROOT_DEBIAN, source="context build", host="tcp://build.example:2375")
    with pytest.raises(ToolchainError, match=r"context build.*export DOCKER_CONTEXT=default"):
        plan(chosen)


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (replace(BARE_ROOT_DEBIAN, denied=True, root=False), "usermod -aG docker"),
        (replace(BARE_ROOT_DEBIAN, installed=True, root=False), "systemctl start docker"),
        (replace(BARE_ROOT_DEBIAN, not_installable="that needs root"), "that needs root"),
    ],
)
def test_what_cannot_be_done_here_says_what_to_do(situation: Situation, says: str) -> None:
    with pytest.raises(ToolchainError, match=says):
        plan(situation)


def write_process(proc: Path, number: int, program: str) -> None:
    (proc / str(number)).mkdir(parents=True)
    (proc / str(number) / "comm").write_text(f"{program}\n")


def test_a_pid_file_counts_only_for_its_own_program(tmp_path: Path) -> None:
    write_process(tmp_path / "proc", 7, "dockerd")
    write_process(tmp_path / "proc", 8, "sshd")
    pidfiles = {"dockerd": tmp_path / "docker.pid", "containerd": tmp_path / "containerd.pid"}
    pidfiles["dockerd"].write_text("7\n")
    pidfiles["containerd"].write_text("8")
    assert remove_stale(pidfiles, tmp_path / "proc") == {"dockerd"}
    assert pidfiles["dockerd"].exists()
    assert not pidfiles["containerd"].exists()


@pytest.mark.parametrize("content", ["", "not a number", "99"])
def test_a_pid_file_without_a_process_is_stale(tmp_path: Path, content: str) -> None:
    path = tmp_path / "docker.pid"
    path.write_text(content)
    assert not is_running(path, "dockerd", tmp_path)


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 20_000, [(OPEN_FILES, OPEN_FILES), (20_000, 20_000)]),
        (1024, OPEN_FILES, [(OPEN_FILES, OPEN_FILES)]),
        (1024, 2 * OPEN_FILES, [(OPEN_FILES, 2 * OPEN_FILES)]),
        (1024, RLIM_INFINITY, [(OPEN_FILES, RLIM_INFINITY)]),
        (2 * OPEN_FILES, RLIM_INFINITY, [(2 * OPEN_FILES, RLIM_INFINITY)]),
        (RLIM_INFINITY, RLIM_INFINITY, [(RLIM_INFINITY, RLIM_INFINITY)]),
    ],
)
def test_the_limit_of_open_files_is_raised_and_never_lowered(
    soft: int, hard: int, expected: list[tuple[int, int]]
) -> None:
    assert open_files_limits(soft, hard) == expected
