from collections.abc import Sequence
from pathlib import Path

import pytest

from toolchain import debian, devtools
from toolchain.devtools import Tool
from toolchain.steps import Report, ToolchainError, silent

INSTALLED = Tool("thing", "the tests of things", "thing-package", "Buy a thing.")
UNPACKED = Tool("thing", "the tests of things", "thing-package", "Buy a thing.", unpacked=True)


def put(folder: Path, version: str = "thing, version 2.42.0+ds (branch: x)") -> Path:
    """Put the program into a folder; its exit code is 1, as wrk's."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "thing"
    program.write_text(f'#!/bin/sh\necho "{version}"\nexit 1\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder of PATH, on a machine that has no package and can get none."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(devtools, "TOOLS", (UNPACKED,))
    monkeypatch.setattr(debian, "why_not_installable", lambda: "that needs root")
    monkeypatch.setattr(debian, "why_not_unpackable", lambda: "this is not Debian")
    return folder


@pytest.mark.parametrize("tool", [INSTALLED, UNPACKED])
def test_found_on_path(tool: Tool, path: Path) -> None:
    program = put(path)
    outcome = devtools.ensure(tool, silent)
    assert (outcome.how, outcome.detail) == ("found", f"2.42.0 at {program}")


def test_path_comes_before_what_was_unpacked(path: Path, tmp_path: Path) -> None:
    unpacked = put(tmp_path / "loadbalancer/thing-package/usr/bin")
    assert devtools.find("thing") == unpacked
    assert devtools.find("thing") != put(path)
    assert devtools.find("thing") == path / "thing"


def test_nothing_is_found(path: Path) -> None:
    assert devtools.find("thing") is None


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        (INSTALLED, "the tests of things need it, and that needs root to install it. Buy a thing."),
        (
            UNPACKED,
            "the tests of things need it, and this is not Debian to install it. Buy a thing.",
        ),
    ],
)
def test_a_missing_package_is_an_error_with_advice(tool: Tool, says: str, path: Path) -> None:
    with pytest.raises(ToolchainError, match=f"^{says}$"):
        devtools.ensure(tool, silent)


def test_installed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(packages: Sequence[str], report: Report, otherwise: str) -> None:
        assert (packages, otherwise) == (["thing-package"], "Buy a thing.")
        put(path, "thing 1.2 of that")

    monkeypatch.setattr(debian, "why_not_installable", lambda: None)
    monkeypatch.setattr(debian, "install", install)
    outcome = devtools.ensure(INSTALLED, silent)
    assert (outcome.how, outcome.detail) == ("installed", f"1.2 at {path / 'thing'}")


def test_unpacked_once(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(package: str, folder: Path, report: Report, otherwise: str) -> None:
        assert (package, otherwise) == ("thing-package", "Buy a thing.")
        put(folder / "usr/bin")

    monkeypatch.setattr(debian, "why_not_unpackable", lambda: None)
    monkeypatch.setattr(debian, "unpack", unpack)
    outcomes = [devtools.ensure(UNPACKED, silent) for _ in range(2)]
    assert [outcome.how for outcome in outcomes] == ["downloaded", "found"]
    unpacked = tmp_path / "loadbalancer/thing-package/usr/bin/thing"
    assert {outcome.detail for outcome in outcomes} == {f"2.42.0 at {unpacked}"}


def test_a_program_that_does_not_run_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "thing").write_text("#!/nowhere/sh\n")
    (path / "thing").chmod(0o755)
    monkeypatch.setattr(debian, "why_not_installable", lambda: None)
    monkeypatch.setattr(debian, "install", lambda *_: None)
    with pytest.raises(ToolchainError, match=r"thing does not run, though .* Buy a thing\."):
        devtools.ensure(INSTALLED, silent)


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012", "4.1.0"),
        ("Chromium 156.0.8078.79 built on Debian", "156.0.8078.79"),
        ("wrk a211dd5 [epoll]", "wrk a211dd5 [epoll]"),
        ("\nslowhttptest, a tool to test for slow HTTP - version 1.8.2\nUsage: ...", "1.8.2"),
        ("", None),
    ],
)
def test_version(printed: str, version: str | None, tmp_path: Path) -> None:
    assert devtools.version_of(put(tmp_path, printed)) == version
