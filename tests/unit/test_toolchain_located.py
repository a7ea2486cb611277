"""The Pulumi CLI is asked for its version once, and again when something has changed."""

import os
from pathlib import Path

import pytest

from toolchain import located
from toolchain.versions import PULUMI_VERSION

NEEDED = (
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLI that counts how often it is started, in a Pulumi home of its own."""
    folder = tmp_path / "home" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in NEEDED:
        _program(folder / name, "")
    return _program(folder / "pulumi", f"echo x >> {tmp_path}/started; echo v{PULUMI_VERSION}")


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def _starts(tmp_path: Path) -> int:
    started = tmp_path / "started"
    return len(started.read_text().splitlines()) if started.exists() else 0


def test_a_second_look_starts_no_process(cli: Path, tmp_path: Path) -> None:
    cache = tmp_path / "build" / "cli.json"
    assert located.find(cache) == cli
    assert located.find(cache) == cli
    assert _starts(tmp_path) == 1


@pytest.mark.parametrize("change", ["touched", "path", "garbled"])
def test_a_change_makes_it_look_again(
    cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    cache = tmp_path / "cli.json"
    located.find(cache)
    if change == "touched":
        os.utime(cli, (1, 1))
    elif change == "path":
        monkeypatch.setenv("PATH", "/bin")
    else:
        cache.write_text("[]")
    assert located.find(cache) == cli
    assert _starts(tmp_path) == 2


def test_a_cli_that_is_gone_or_too_old_is_not_found(cli: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cli.json"
    located.find(cache)
    _program(cli, "echo v3.0.0")
    assert located.find(cache) is None
    cli.unlink()
    assert located.find(cache) is None


def test_a_cache_that_cannot_be_written_is_no_error(cli: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert located.find(tmp_path / "file" / "cli.json") == cli
