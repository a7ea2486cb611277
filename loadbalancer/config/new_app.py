"""A new app's folder, made from the form that stands in apps/_new."""

import shutil
from pathlib import Path

from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.names import APP_NAME

_FORM = "_new"
_PLACEHOLDER = "NAME"


def create(apps: Path, name: str) -> Path:
    """Write a new app's folder.

    Args:
        apps: the folder that holds the apps.
        name: the app's name, a DNS label.

    Raises:
        ConfigError: where the name cannot be an app's, or is one's already.
    """
    folder = apps / name
    retry = "Take another: make app NAME=app3"
    if not APP_NAME.fullmatch(name):
        reason = "is not a DNS label of at most 30 small letters, digits and hyphens"
        raise ConfigError([Problem("NAME", name, f"{reason} that starts with a letter", retry)])
    if folder.exists():
        raise ConfigError([Problem("NAME", name, f"is there already, in {folder}", retry)])
    unfinished = apps / f"{_FORM}.{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(apps / _FORM, unfinished, ignore=shutil.ignore_patterns("__pycache__"))
    code = unfinished / "app.py"
    code.write_text(code.read_text().replace(_PLACEHOLDER, name.capitalize()))
    unfinished.rename(folder)
    return folder
