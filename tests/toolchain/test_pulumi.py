"""Which Pulumi is used, with scripts in place of the real programs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import download, golang, pulumi, pulumicli
from toolchain.pulumicli import PROGRAMS
from toolchain.steps import Report, ToolchainError, silent
from toolchain.versions import DOCKER_PLUGIN_VERSION, PULUMI_VERSION

CLI = """#!/bin/sh
if [ "$1" = version ]; then echo v{version}; exit; fi
echo "$@" >> "$PULUMI_HOME/calls"
folder="$PULUMI_HOME/plugins/resource-docker-v{plugin}"
case "$*" in *--file*) mkdir -p "$folder"; touch "$folder/pulumi-resource-docker";; *) exit 1;; esac
"""


def write_programs(folder: Path, version: str = PULUMI_VERSION) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*PROGRAMS, pulumi.PLUGIN):
        (folder / name).write_text(CLI.format(version=version, plugin=DOCKER_PLUGIN_VERSION))
        (folder / name).chmod(0o755)
    return folder / "pulumi"


class Builds:
    """Replaces the Go build, and counts the builds."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _go: Path, into: Path, _report: Report) -> None:
        self.count += 1
        write_programs(into)


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    """A machine without Pulumi and without the vendor; sources are in a folder of their own."""
    counted = Builds()
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "main.go").write_text("package main\n")
    monkeypatch.setattr(pulumi, "FOLDER", sources)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pulumi, "build_programs", counted)
    monkeypatch.setattr(golang, "ensure", lambda _folder, _report: Path("go"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv(download.VARIABLE, "http://127.0.0.1:9")
    return counted


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_without_the_vendor_everything_is_built_once(builds: Builds, home: Path) -> None:
    outcome = pulumi.ensure(silent)
    assert outcome.how == "built"
    assert "127.0.0.1:9" in outcome.detail
    assert sorted(path.name for path in (home / "bin").iterdir()) == sorted(PROGRAMS)
    assert "--file" in (home / "calls").read_text()
    assert pulumi.ensure_plugin(silent).how == "found"
    assert pulumi.ensure(silent).how == "found"
    assert builds.count == 1


def test_changed_sources_are_built_again(builds: Builds) -> None:
    pulumi.ensure(silent)
    (pulumi.FOLDER / "main.go").write_text("package main // changed\n")
    outcome = pulumi.ensure(silent)
    assert (outcome.how, builds.count) == ("built", 2)
    assert "sources have changed" in outcome.detail
    assert pulumi.ensure(silent).how == "found"


def test_what_the_vendor_installed_is_not_rebuilt(builds: Builds, home: Path) -> None:
    write_programs(home / "bin")
    assert pulumi.ensure(silent).how == "found"
    assert builds.count == 0


def test_the_cli_on_path_is_preferred(
    builds: Builds, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_programs(home / "bin")
    newer = write_programs(tmp_path / "newer", "99.0.0")
    monkeypatch.setenv("PATH", f"{newer.parent}{os.pathsep}/usr/bin:/bin")
    assert pulumi.ensure(silent).detail == f"99.0.0 at {newer}"


def too_old(folder: Path) -> None:
    write_programs(folder, "3.1.0")


def without_language_host(folder: Path) -> None:
    write_programs(folder)
    (folder / "pulumi-language-python").unlink()


def that_does_not_run(folder: Path) -> None:
    write_programs(folder).write_text("#!/nowhere/sh\n")


@pytest.mark.parametrize("unfit", [too_old, without_language_host, that_does_not_run])
def test_an_unfit_cli_is_replaced(
    builds: Builds, home: Path, unfit: Callable[[Path], None]
) -> None:
    unfit(home / "bin")
    assert pulumi.ensure(silent).how == "built"
    assert pulumicli.find() == (home / "bin" / "pulumi", PULUMI_VERSION)


def test_an_interrupted_build_is_resumed(
    builds: Builds, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setattr(pulumi, "install", interrupt_at("pulumi-resource-pulumi-python"))
        with pytest.raises(KeyboardInterrupt):
            pulumi.ensure(silent)
    assert pulumicli.find() is None
    assert pulumi.ensure(silent).how == "built"
    assert not list((home / "bin").glob(".*"))


def interrupt_at(name: str) -> Callable[[Path, Path], None]:
    """Return an `install` that is interrupted in the middle of one program."""
    install = pulumi.install

    def interrupted(source: Path, target: Path) -> None:
        if target.name == name:
            target.with_name(f".{name}.partial").write_text("half")
            raise KeyboardInterrupt
        install(source, target)

    return interrupted


def test_a_plugin_of_an_interrupted_installation_is_installed_again(
    builds: Builds, home: Path
) -> None:
    write_programs(home / "bin")
    pulumi.plugin_folder().mkdir(parents=True)
    (pulumi.plugin_folder() / pulumi.PLUGIN).touch()
    partial = pulumi.plugin_folder().with_name(f"{pulumi.plugin_folder().name}.partial")
    partial.touch()
    assert not pulumi.has_plugin()
    partial.unlink()
    assert pulumi.ensure_plugin(silent).how == "found"


def test_the_plugin_is_built_when_the_vendor_has_none(builds: Builds, home: Path) -> None:
    write_programs(home / "bin")
    assert pulumi.ensure_plugin(silent).how == "built"
    assert builds.count == 1
    calls = (home / "calls").read_text().splitlines()
    assert calls[0] == f"plugin install resource docker {DOCKER_PLUGIN_VERSION}"
    assert "--file" in calls[1]


def test_a_plugin_without_a_cli_says_so(builds: Builds) -> None:
    with pytest.raises(ToolchainError, match="again"):
        pulumi.ensure_plugin(silent)


def test_a_recorded_version_saves_starting_the_cli(
    builds: Builds, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write_programs(home / "bin")
    assert pulumicli.find() == (program, PULUMI_VERSION)
    with monkeypatch.context() as context:
        context.setattr(pulumicli, "output", lambda _: pytest.fail("the CLI was started"))
        assert pulumicli.find(recorded=True) == (program, PULUMI_VERSION)


def test_a_changed_cli_is_asked_for_its_version_again(builds: Builds, home: Path) -> None:
    program = write_programs(home / "bin")
    pulumicli.find()
    write_programs(home / "bin", "99.0.0")
    assert pulumicli.find(recorded=True) == (program, "99.0.0")


@pytest.mark.parametrize("content", ["", "[]", "{broken", '{"PROGRAM": 7}', '{"PROGRAM": [1]}'])
def test_a_damaged_record_is_ignored_and_written_again(
    builds: Builds, home: Path, tmp_path: Path, content: str
) -> None:
    program = write_programs(home / "bin")
    pulumicli.find()
    record = tmp_path / "cache" / "loadbalancer" / "pulumi-versions.json"
    before = record.read_text()
    record.write_text(content.replace("PROGRAM", str(program)))
    assert pulumicli.find(recorded=True) == (program, PULUMI_VERSION)
    assert record.read_text() == before


def test_without_a_writable_cache_the_cli_is_still_found(
    builds: Builds, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    program = write_programs(home / "bin")
    assert pulumicli.find(recorded=True) == (program, PULUMI_VERSION)
