"""The project: its backend, its stacks, and the selected one, read from Pulumi's own files."""

import hashlib
import json
from pathlib import Path

import pytest

from loadbalancer.state.project import Project

BACKEND = "file:///backend?metadata=skip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: loadbalancer\nruntime: python\n")
    return folder


def _environ(tmp_path: Path, folder: Path, **more: str) -> dict[str, str]:
    return {
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": BACKEND,
        "PWD": str(folder),
        **more,
    }


def _select(tmp_path: Path, folder: Path, stacks: dict[str, str]) -> None:
    """Write the file that `pulumi stack select` writes (3.256)."""
    path = hashlib.sha1(f"{folder}/Pulumi.yaml".encode()).hexdigest()  # noqa: S324
    workspaces = tmp_path / "home" / "workspaces"
    workspaces.mkdir(parents=True, exist_ok=True)
    file = workspaces / f"loadbalancer-{path}-workspace.json"
    file.write_text(json.dumps({"stacks": stacks}))


def test_the_stack_is_dev_until_one_is_selected(tmp_path: Path, folder: Path) -> None:
    environ = _environ(tmp_path, folder)
    project = Project.find(folder, environ)
    assert project.selected(environ) == "dev"
    _select(tmp_path, folder, {BACKEND: "organization/loadbalancer/staging"})
    assert project.selected(environ) == "staging"


def test_a_selection_counts_for_its_backend_only(tmp_path: Path, folder: Path) -> None:
    environ = _environ(tmp_path, folder)
    _select(tmp_path, folder, {"file://./.state": "organization/loadbalancer/staging"})
    assert Project.find(folder, environ).selected(environ) == "dev"


def test_pulumi_stack_counts_before_the_selection(tmp_path: Path, folder: Path) -> None:
    environ = _environ(tmp_path, folder, PULUMI_STACK="other")
    _select(tmp_path, folder, {BACKEND: "organization/loadbalancer/staging"})
    assert Project.find(folder, environ).selected(environ) == "other"


def test_a_stack_of_another_organization_keeps_its_name(tmp_path: Path, folder: Path) -> None:
    environ = _environ(tmp_path, folder, PULUMI_BACKEND_URL="https://api.pulumi.com")
    _select(tmp_path, folder, {"https://api.pulumi.com": "acme/loadbalancer/staging"})
    assert Project.find(folder, environ).selected(environ) == "acme/loadbalancer/staging"


def test_the_selection_is_that_of_the_path_by_which_the_shell_came(
    tmp_path: Path, folder: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    (folder / "apps").mkdir()
    _select(tmp_path, folder, {BACKEND: "organization/loadbalancer/of-folder"})
    _select(tmp_path, link, {BACKEND: "organization/loadbalancer/of-link"})
    other = tmp_path / "another link"
    other.symlink_to(folder)
    for shell, stack in {
        other: "dev",
        folder: "of-folder",
        link: "of-link",
        link / "apps": "of-link",
        tmp_path: "of-folder",
        tmp_path / "gone": "of-folder",
    }.items():
        environ = _environ(tmp_path, shell)
        assert Project.find(folder, environ).selected(environ) == stack


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stacks": null}', "{"])
def test_a_file_without_a_selection_is_no_error(tmp_path: Path, folder: Path, text: str) -> None:
    environ = _environ(tmp_path, folder)
    _select(tmp_path, folder, {})
    for file in (tmp_path / "home" / "workspaces").iterdir():
        file.write_text(text)
    assert Project.find(folder, environ).selected(environ) == "dev"


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("file:///backend?metadata=skip", "/backend/.pulumi"),
        ("file:///a%20b", "/a b/.pulumi"),
        ("file://./.state", "{folder}/.state/.pulumi"),
        ("file://~/state", "{home}/state/.pulumi"),
        ("file://~", "{home}/.pulumi"),
        ("https://api.pulumi.com", None),
        ("s3://bucket", None),
    ],
)
def test_the_folder_of_a_file_backend(folder: Path, backend: str, expected: str | None) -> None:
    found = Project.find(folder, {"PULUMI_BACKEND_URL": backend}).file_backend
    if expected is None:
        assert found is None
    else:
        assert found == Path(expected.format(folder=folder, home=Path.home()))


def test_the_backend_is_of_the_environment_then_the_project_then_the_login(
    tmp_path: Path, folder: Path
) -> None:
    environ = {"PULUMI_HOME": str(tmp_path)}
    assert Project.find(folder, environ).backend == ""
    (tmp_path / "credentials.json").write_text('{"current": "https://example.com"}')
    assert Project.find(folder, environ).backend == "https://example.com"
    with (folder / "Pulumi.yaml").open("a") as file:
        file.write("backend: {url: 's3://bucket'}\n")
    assert Project.find(folder, environ).backend == "s3://bucket"
    assert Project.find(folder, {**environ, "PULUMI_BACKEND_URL": BACKEND}).backend == BACKEND


def test_the_stacks_of_a_file_backend(tmp_path: Path, folder: Path) -> None:
    project = Project.find(folder, {"PULUMI_BACKEND_URL": tmp_path.as_uri()})
    assert project.stacks() == []
    stacks = tmp_path / ".pulumi" / "stacks" / "loadbalancer"
    stacks.mkdir(parents=True)
    for name in ("dev.json", "dev.json.bak", "big.json.gz", "dev.json.attrs"):
        (stacks / name).write_text("{}")
    assert project.stacks() == ["big", "dev"]
    assert Project.find(folder, {"PULUMI_BACKEND_URL": "s3://bucket"}).stacks() == []


def test_the_config_file_has_the_name_without_the_organization(folder: Path) -> None:
    project = Project.find(folder, {})
    assert project.stack_file("acme/loadbalancer/dev") == folder / "Pulumi.dev.yaml"
    assert project.stack_file("dev") == folder / "Pulumi.dev.yaml"


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("dev", ("loadbalancer", "dev")),
        ("acme/dev", ("loadbalancer", "dev")),
        ("organization/loadbalancer/dev", ("loadbalancer", "dev")),
        ("organization/other/dev", ("other", "dev")),
    ],
)
def test_the_name_of_a_stack_in_each_of_its_forms(
    folder: Path, stack: str, expected: tuple[str, str]
) -> None:
    assert Project.find(folder, {}).qualified(stack) == expected


def test_a_stack_is_found_in_every_layout_of_a_file_backend(folder: Path) -> None:
    project = Project(folder, "loadbalancer", "file://./.state")
    stacks = folder / ".state/.pulumi/stacks"
    (stacks / "loadbalancer").mkdir(parents=True)
    assert project.checkpoints("dev") == []
    for file in ("dev.json", "loadbalancer/dev.json.gz", "loadbalancer/dev.json"):
        (stacks / file).write_text("{}")
        assert stacks / file in project.checkpoints("dev")
    assert stacks / "dev.json" not in project.checkpoints("organization/loadbalancer/dev")
    assert Project(folder, "loadbalancer", "s3://bucket").checkpoints("dev") == []


def test_the_embedded_backend_tells_of_a_former_project_name(folder: Path) -> None:
    project = Project(folder, "balancer", "file://./.state?metadata=skip")
    assert project.embedded
    stacks = folder / ".state/.pulumi/stacks"
    (stacks / "loadbalancer").mkdir(parents=True)
    (stacks / "loadbalancer/dev.json").write_text("{}")
    assert project.former("dev") == "loadbalancer"
    assert project.former("staging") is None
    assert project.of_former_projects() == ["organization/loadbalancer/dev"]
    # A backend that is shared may have stacks of this name in other projects.
    shared = Project(folder, "balancer", f"file://{folder}/.state/../.state/x")
    assert (shared.embedded, shared.former("dev"), shared.of_former_projects()) == (False, None, [])
    (stacks / "balancer").mkdir()
    (stacks / "balancer/dev.json").write_text("{}")
    assert project.former("dev") is None


def test_each_checkout_has_a_state_of_its_own_whatever_the_login(tmp_path: Path) -> None:
    environ = {"PULUMI_HOME": str(tmp_path)}
    (tmp_path / "credentials.json").write_text('{"current": "https://example.com"}')
    project = Project.find(Path(__file__).parents[2], environ)
    assert project.embedded
    assert project.backend == "file://./.state?metadata=skip"
