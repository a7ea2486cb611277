"""The folders of apps: found, and created from the template."""

import shutil
from pathlib import Path

import pytest

from loadbalancer.config import apps
from loadbalancer.config.problems import ConfigError
from loadbalancer.content import files
from loadbalancer.content.files import ContentError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of apps/ to write into."""
    # Another process may be writing bytecode there.
    left_out = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree("apps", tmp_path / "apps", ignore=left_out))


def test_a_new_app_is_one_python_file_and_its_requirements(folder: Path) -> None:
    made = apps.create(folder, "app3")
    assert sorted(path.name for path in made.iterdir()) == ["app.py", "requirements.txt"]
    assert "Salam alikom, this is App3 :) " in (made / "app.py").read_text()
    assert list(apps.find(folder)) == ["app1", "app2", "app3"]


@pytest.mark.parametrize("name", ["App3", "3app", "a_b", "", "-a", "a" * 31, "../x"])
def test_an_invalid_name(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"NAME: .* is not a DNS label"):
        apps.create(folder, name)


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"NAME: app1 already exists, in .*\. Use another name: \./lb app new app3",
    ):
        apps.create(folder, "app1")


def test_the_template_is_no_app(folder: Path) -> None:
    assert "_new" not in apps.find(folder)


def content(folder: Path, name: str) -> set[str]:
    return {one.name for one in files.read(apps.find(folder)[name].source).files}


def test_an_image_has_the_app_and_what_the_common_dockerfile_names(folder: Path) -> None:
    (folder / "README.md").write_text("not for the image")
    (folder / "_shared").mkdir()
    (folder / "_shared/util.py").write_text("x = 1")
    server = {f"_server/{path.name}" for path in (folder / "_server").iterdir() if path.is_file()}
    own = {"app1/app.py", "app1/requirements.txt"}
    assert content(folder, "app1") == {"Dockerfile", *server, *own}
    with (folder / "Dockerfile").open("a") as file:
        file.write("# README.md of app2\nCOPY _shared /srv/_shared\n")
    assert content(folder, "app1") == {"Dockerfile", "_shared/util.py", *server, *own}


def test_an_app_with_a_dockerfile_of_its_own_has_its_own_folder_alone(folder: Path) -> None:
    (folder / "own").mkdir()
    for name in ("Dockerfile", "page.html", ".dockerignore", "Dockerfile.dockerignore"):
        (folder / "own" / name).write_text(f"FROM scratch\nCOPY {name} /")
    (folder / "own/.gitignore").write_text("Dockerfile\n")
    assert content(folder, "own") == {".gitignore", "Dockerfile", "page.html"}
    assert apps.find(folder)["own"].probe is None


def test_an_app_whose_code_is_ignored_is_refused(folder: Path) -> None:
    (folder / "app1/.gitignore").write_text("app.py\n")
    with pytest.raises(ContentError, match=r"apps/app1/app\.py: app\.py is ignored by git"):
        content(folder, "app1")


def test_an_app_that_is_a_dangling_link_is_refused_as_such(folder: Path) -> None:
    (folder / "lab").mkdir()
    (folder / "lab/app.py").symlink_to("../_shared/app.py")
    with pytest.raises(
        ContentError, match=r"apps/lab/app\.py: \.\./_shared/app\.py does not exist"
    ):
        content(folder, "lab")


def test_a_folder_that_cannot_be_read_is_no_app(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data").mkdir()
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent.name == "data":
            raise PermissionError(path)
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    assert list(apps.find(folder)) == ["app1", "app2"]
