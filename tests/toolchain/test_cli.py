"""The command as a shell runs it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain import cli

PROJECT = Path(__file__).resolve().parents[2]


def toolchain(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolchain", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_failing_step_ends_without_a_traceback() -> None:
    done = toolchain(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 1
    # Another run of the toolchain on this machine, for which it waits, is named before.
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: Docker engine: no Docker engine answers at unix:///nowhere")
    assert "unset DOCKER_HOST" in error
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].split() == ["Docker", "engine", "failed"]


def test_there_are_no_exports_when_pulumi_is_missing(tmp_path: Path) -> None:
    done = toolchain("env", PULUMI_HOME=str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "./lb up" in done.stderr


def test_a_content_counts_as_tested_once_that_is_recorded(tmp_path: Path) -> None:
    cache = str(tmp_path)
    assert toolchain("tested", XDG_CACHE_HOME=cache).returncode == 1
    assert toolchain("tested", "--record", XDG_CACHE_HOME=cache).returncode == 0
    assert toolchain("tested", XDG_CACHE_HOME=cache).returncode == 0


def test_an_old_python_is_an_error_that_names_the_needed_one() -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 2); "
        "runpy.run_module('toolchain', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().startswith("Python 3.11 or newer is needed, and this is 3.9.")


@pytest.mark.parametrize(
    ("number", "handler", "code"),
    [
        (signal.SIGTERM, signal.SIG_DFL, cli.INTERRUPTED),
        (signal.SIGHUP, signal.SIG_DFL, cli.INTERRUPTED),
        (signal.SIGHUP, signal.SIG_IGN, 0),
    ],
)
def test_a_kill_or_a_closed_terminal_is_an_interruption(
    number: signal.Signals, handler: signal.Handlers, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_everything", lambda **_: signal.raise_signal(number))
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(number, handler)
    try:
        assert cli.main([]) == code
    finally:
        for each, had in before.items():
            signal.signal(each, had)
