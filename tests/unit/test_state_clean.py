"""Clean: every stack of the embedded backend is destroyed, and no other backend is touched."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadbalancer.state import clean as cleaning
from loadbalancer.state.clean import clean
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import PulumiError


class Commands:
    """Takes the place of Pulumi: notes the commands, and fails to destroy one stack."""

    def __init__(self, failing: str = "") -> None:
        self.made: list[str] = []
        self._failing = failing

    def __call__(self, _: Path) -> "Commands":
        return self

    def run(self, *arguments: str, stack: str) -> str:
        self.made.append(f"{' '.join(arguments)} {stack}")
        return ""

    def show(self, *arguments: str, stack: str) -> None:
        self.run(*arguments, stack=stack)
        if stack == self._failing:
            raise PulumiError("pulumi destroy failed")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    stacks = tmp_path / ".state/.pulumi/stacks/loadbalancer"
    stacks.mkdir(parents=True)
    for name in ("dev", "staging"):
        (stacks / f"{name}.json").write_text("{}")
        (tmp_path / f"Pulumi.{name}.yaml").write_text("encryptionsalt: v1:x\n")
    return Project(tmp_path, "loadbalancer", f"{(tmp_path / '.state').as_uri()}?metadata=skip")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    found = Commands()
    monkeypatch.setattr(cleaning, "Pulumi", found)
    return found


def test_every_stack_and_the_backend_go(project: Project, commands: Commands) -> None:
    assert clean(project, confirmed=True)
    assert commands.made == [
        "destroy --yes --skip-preview dev",
        "stack rm --yes --preserve-config dev",
        "destroy --yes --skip-preview staging",
        "stack rm --yes --preserve-config staging",
    ]
    assert list(project.folder.iterdir()) == []


def test_the_configuration_stays(
    project: Project, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, secret = project.stack_file("dev"), project.stack_file("staging")
    plain.write_text("encryptionsalt: v1:x\nconfig:\n  loadbalancer:port: 0 # any\n")
    encrypted = "encryptionsalt: v1:x\nconfig:\n  loadbalancer:drain:\n    secure: v1:y\n"
    secret.write_text(encrypted)
    assert clean(project, confirmed=True)
    assert plain.read_text() == "config:\n  loadbalancer:port: 0 # any\n"
    assert secret.read_text() == encrypted
    printed = capsys.readouterr().out
    assert "Pulumi.staging.yaml has secrets that only .state/passphrase decrypts" in printed
    assert "Pulumi.dev.yaml" not in printed


def test_what_cannot_be_destroyed_stays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(failing="staging")
    monkeypatch.setattr(cleaning, "Pulumi", commands)
    with pytest.raises(PulumiError):
        clean(project, confirmed=True)
    assert (project.folder / ".state").exists()
    assert commands.made[1] == "stack rm --yes --preserve-config dev"
    assert "rm" not in commands.made[-1]


@pytest.mark.parametrize(("answer", "gone"), [("yes", True), ("y", False), (None, False)])
def test_it_asks_first(
    project: Project,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    gone: bool,
) -> None:
    def ask(_: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", ask)
    assert clean(project, confirmed=False) is gone
    assert (project.folder / ".state").exists() is not gone
    assert bool(commands.made) is gone


def test_stacks_of_a_former_project_name_are_not_forgotten(
    project: Project, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = replace(project, name="balancer")
    assert not clean(renamed, confirmed=True)
    assert commands.made == []
    assert (project.folder / ".state").exists()
    printed = capsys.readouterr().out
    for name in ("dev", "staging"):
        old, new = (f"organization/{one}/{name}" for one in ("loadbalancer", "balancer"))
        assert f"pulumi stack rename --stack {old} {new}\n" in printed


def test_another_backend_is_left_alone(
    project: Project, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    for backend in ("https://api.pulumi.com", f"file://{project.folder}/other", ""):
        other = Project(project.folder, project.name, backend)
        assert not clean(other, confirmed=True)
    assert commands.made == []
    assert (project.folder / ".state").exists()
    assert "./lb down --stack NAME" in capsys.readouterr().out
