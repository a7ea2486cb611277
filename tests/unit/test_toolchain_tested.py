from pathlib import Path

import pytest

from toolchain import cli
from toolchain import tested as content


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file of each kind, and a cache of its own."""
    folder = tmp_path / "project"
    for name in (
        "toolchain/cli.py",
        "toolchain/cmd/host/main.go",
        "toolchain/images/nginx/Dockerfile",
        "tests/toolchain/test_cli.py",
        "tests/unit/test_toolchain_cli.py",
        "requirements.txt",
    ):
        write(folder / name, "content")
    monkeypatch.setattr(content, "versions_here", lambda: ["3.11", "go1.26"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_content_that_has_passed_does_not_run_again(project: Path) -> None:
    assert not content.has_passed(project)
    content.record_pass(project)
    assert content.has_passed(project)


@pytest.mark.parametrize(
    "name",
    [
        "toolchain/cli.py",
        "toolchain/cmd/host/main.go",
        "toolchain/images/nginx/Dockerfile",
        "toolchain/images/nginx/new.conf",
        "tests/toolchain/test_cli.py",
        "tests/unit/test_toolchain_new.py",
        "requirements.txt",
    ],
)
def test_a_changed_or_new_file_makes_the_tests_run(project: Path, name: str) -> None:
    content.record_pass(project)
    before = (project / name).read_text() if (project / name).exists() else None
    write(project / name, "changed")
    assert not content.has_passed(project)
    if before is None:
        (project / name).unlink()
    else:
        write(project / name, before)
    assert content.has_passed(project)


def test_a_moved_file_makes_the_tests_run(project: Path) -> None:
    content.record_pass(project)
    (project / "toolchain/cli.py").rename(project / "toolchain/verbs.py")
    assert not content.has_passed(project)


def test_another_go_makes_the_tests_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content.record_pass(project)
    monkeypatch.setattr(content, "versions_here", lambda: ["3.11", "go1.27"])
    assert not content.has_passed(project)


@pytest.mark.parametrize(
    "name",
    [
        "toolchain/__pycache__/cli.pyc",
        "toolchain/build/programs/pulumi",
        "toolchain/cmd/pulumi-resource-docker/schema/schema.json",
        "loadbalancer/cli.py",
        "tests/unit/test_config.py",
    ],
)
def test_other_and_generated_files_do_not_count(project: Path, name: str) -> None:
    content.record_pass(project)
    write(project / name, "new")
    assert content.has_passed(project)


def test_a_clone_with_the_same_content_counts_as_passed(project: Path, tmp_path: Path) -> None:
    content.record_pass(project)
    assert content.has_passed(project.rename(tmp_path / "clone"))


def test_another_user_without_that_cache_runs_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content.record_pass(project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert not content.has_passed(project)


def test_the_hash_covers_the_real_toolchain() -> None:
    names = {str(path.relative_to(cli.PROJECT)) for path in content.covered(cli.PROJECT)}
    assert {
        "toolchain/go.sum",
        "toolchain/cmd/pulumi-language-python/distributions.py",
        "toolchain/images/python/packages.txt",
        "tests/toolchain/test_language_host.py",
        "tests/unit/test_toolchain_tested.py",
        "requirements.txt",
    } <= names
