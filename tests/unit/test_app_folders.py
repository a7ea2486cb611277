"""The folders of apps: found, and created from the template."""

import shutil
from pathlib import Path

import pytest

from loadbalancer.config import apps
from loadbalancer.config.problems import ConfigError


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
