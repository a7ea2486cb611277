"""The command line and the real Pulumi CLI: what is selected, what fails and how, and clean."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadbalancer.drift import repair
from loadbalancer.state import lock
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import LockedError, Pulumi, StackNotFoundError
from tests.stack.deployment import PROJECT

LONGEST = 300
READ_ONLY = (
    ("status",),
    pytest.param(("logs",), marks=pytest.mark.faults),
    pytest.param(("watch", "--count", "1"), marks=pytest.mark.faults),
    pytest.param(("rollout", "status"), marks=pytest.mark.faults),
    ("history",),
)
"""Verbs that only read."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project with the embedded backend and no stack that is up."""

    folder: Path
    environ: dict[str, str]

    def run(
        self, *command: str, cwd: Path | None = None, **more: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a folder, by default the checkout, as a shell there does."""
        folder = cwd or self.folder
        return subprocess.run(
            command,
            cwd=folder,
            env={**self.environ, "PWD": str(folder), **more},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LONGEST,
            check=False,
        )

    def lb(self, *verb: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a verb."""
        return self.run(sys.executable, str(self.folder / "lb"), *verb, cwd=cwd)

    def pulumi(self, *arguments: str, cwd: Path | None = None, **more: str) -> str:
        """Run plain pulumi; returns what it printed."""
        done = self.run("pulumi", *arguments, "--non-interactive", cwd=cwd, **more)
        return done.stdout.strip()

    def selections(self) -> dict[str, str]:
        """Read what is selected in every folder."""
        workspaces = Path(self.environ["PULUMI_HOME"]) / "workspaces"
        return {path.name: path.read_text() for path in workspaces.glob("*.json")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with two stacks that have nothing, and a Pulumi home of its own."""
    folder = tmp_path_factory.mktemp("checkout") / "project"
    folder.mkdir()
    for part in ("Pulumi.yaml", "lb"):
        shutil.copy2(PROJECT / part, folder / part)
    for part in ("loadbalancer", "toolchain", "apps"):
        left_out = shutil.ignore_patterns("build", "__pycache__")
        shutil.copytree(PROJECT / part, folder / part, ignore=left_out)
    # Nothing to declare: what this is about needs no container.
    (folder / "__main__.py").write_text("")
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    state = folder / ".state"
    state.mkdir()
    (state / "passphrase").write_text("of a test\n")
    home = folder.parent / "home"
    home.mkdir()
    # Its programs are found on PATH, as those of any other installation.
    found = Checkout(
        folder,
        {
            **{name: value for name, value in os.environ.items() if name != "PULUMI_STACK"},
            "PULUMI_HOME": str(home),
            "LOADBALANCER_CHECKOUT": str(folder),
            "PULUMI_BACKEND_URL": f"{state.as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(state / "passphrase"),
        },
    )
    for name in ("dev", "staging"):
        found.pulumi("stack", "init", name, "--no-select")
    yield found


def test_the_stack_is_the_one_that_pulumi_has_selected(checkout: Checkout) -> None:
    link = checkout.folder.parent / "link"
    link.symlink_to(checkout.folder)
    places = (checkout.folder, link, checkout.folder / "apps", link / "apps")

    def agree(**more: str) -> list[str]:
        shown = [checkout.pulumi("stack", "--show-name", cwd=place, **more) for place in places]
        for place, name in zip(places, shown, strict=True):
            environ = {**checkout.environ, "PWD": str(place), **more}
            project = Project.find(checkout.folder, environ)
            assert project.selected(environ) == (name or "dev")
        return shown

    assert agree() == ["", "", "", ""]
    checkout.pulumi("stack", "select", "staging")
    assert agree()[0] == "staging"
    checkout.pulumi("stack", "select", "dev", cwd=link)
    assert agree() == ["staging", "dev", "staging", "dev"]
    assert agree(PULUMI_STACK="staging") == ["staging"] * 4
    checkout.pulumi("stack", "select", "staging", cwd=link)
    for place in places:
        done = checkout.lb("rollout", "status", cwd=place)
        assert "No rollout of staging" in done.stdout, done.stderr


@pytest.mark.parametrize("verb", READ_ONLY, ids=" ".join)
def test_a_verb_that_reads_selects_no_stack(checkout: Checkout, verb: tuple[str, ...]) -> None:
    before = checkout.selections()
    checkout.lb(*verb, "--stack", "dev")
    assert checkout.selections() == before
    done = checkout.lb(*verb, "--stack", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "./lb up --stack nobody" in done.stderr
    assert checkout.selections() == before


@pytest.mark.parametrize(
    "verb",
    ["down", *(pytest.param(one, marks=pytest.mark.faults) for one in ("repair", "rollback"))],
)
def test_of_the_verbs_that_change_something_only_up_selects(checkout: Checkout, verb: str) -> None:
    checkout.pulumi("stack", "select", "dev")
    before = checkout.selections()
    checkout.lb(verb, "--stack", "staging")
    assert checkout.selections() == before


@pytest.mark.faults
def test_failures_of_the_real_cli_are_classified(checkout: Checkout) -> None:
    pulumi = Pulumi(checkout.folder, checkout.environ)
    for command in (
        ("up", "--yes", "--skip-preview"),
        ("config", "set", "port", "1"),
        ("stack", "output", "--json"),
        ("stack", "history", "--json"),
        ("stack", "export"),
        ("cancel", "--yes"),
    ):
        with pytest.raises(StackNotFoundError, match="no stack named 'nobody' found"):
            pulumi.run(*command, stack="nobody")
    project = Project.find(checkout.folder, checkout.environ)
    assert project.file_backend is not None
    lock_folder = project.file_backend / "locks/organization/loadbalancer/dev"
    lock_folder.mkdir(parents=True, exist_ok=True)
    held = {
        "pid": 1,
        "username": "user",
        "hostname": "another",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    (lock_folder / "of-a-test.json").write_text(json.dumps(held))
    with pytest.raises(LockedError, match="locked"):
        pulumi.run("up", "--yes", "--skip-preview", stack="dev")
    assert [holder.host for holder in lock.holders(project, "dev")] == ["another"]
    done = checkout.lb("repair", "--stack", "dev")
    assert done.returncode == 1
    assert "./lb repair --force --stack dev" in done.stderr
    # As on a backend that does not tell who holds its locks.
    with pytest.raises(LockedError, match="locked"):
        repair._expect_no_lock(project, "dev", pulumi)
    pulumi.run("cancel", "--yes", stack="dev")
    assert lock.holders(project, "dev") == []


def test_clean_leaves_another_backend_and_removes_the_embedded_one(checkout: Checkout) -> None:
    other = checkout.folder.parent / "other"
    other.mkdir()
    program = (sys.executable, str(checkout.folder / "lb"), "clean")
    done = checkout.run(*program, "--yes", PULUMI_BACKEND_URL=other.as_uri())
    assert done.returncode == 1
    assert "./lb down --stack NAME" in done.stdout
    assert checkout.run(*program).returncode == 1
    assert Project.find(checkout.folder, checkout.environ).stacks() == ["dev", "staging"]
    done = checkout.run(*program, "--yes")
    assert done.returncode == 0, done.stderr
    assert not (checkout.folder / ".state").exists()
    assert not list(checkout.folder.glob("Pulumi.*.yaml"))
