"""Apps: the folders under apps/ that can be built, and new ones from the template."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.names import APP_NAME

_PROBE = ("bash", "/srv/_server/probe.sh")
_TEMPLATE = "_new"
_PLACEHOLDER = "NAME"


@dataclass(frozen=True)
class AppFolder:
    """How an app's image is built.

    `context` is what the Dockerfile's COPY sees, `content` are the files and folders of it that
    the image depends on. `probe` is the command of the healthcheck; None leaves it to the
    HEALTHCHECK of the app's own Dockerfile.
    """

    name: str
    context: Path
    content: tuple[Path, ...]
    probe: tuple[str, ...] | None


def find(folder: Path) -> dict[str, AppFolder]:
    """Find the apps in a folder: subfolders with an app.py or a Dockerfile of their own.

    Names that start with an underscore are of what the apps share.
    """
    return {
        path.name: _app_folder(path)
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if not path.name.startswith("_")
        and ((path / "app.py").is_file() or (path / "Dockerfile").is_file())
    }


def _app_folder(path: Path) -> AppFolder:
    if (path / "Dockerfile").is_file():
        return AppFolder(path.name, context=path, content=(path,), probe=None)
    shared = [other for other in sorted(path.parent.iterdir()) if other.is_file()]
    shared.append(path.parent / "_server")
    return AppFolder(path.name, context=path.parent, content=(*shared, path), probe=_PROBE)


def create(folder: Path, name: str) -> Path:
    """Create the folder of a new app from the template apps/_new.

    Args:
        folder: the folder that holds the apps.
        name: the app's name, a DNS label.

    Returns:
        The folder of the app.

    Raises:
        ConfigError: when the name is invalid or already used.
    """
    path = folder / name
    fix = "Use another name: ./lb app new app3"
    if not APP_NAME.fullmatch(name):
        reason = "is not a DNS label of at most 30 small letters, digits and hyphens that starts "
        raise ConfigError([Problem("NAME", name, f"{reason}with a letter", fix)])
    if path.exists():
        raise ConfigError([Problem("NAME", name, f"already exists, in {path}", fix)])
    # Renamed when it is complete: an interrupted copy is not taken for an app.
    incomplete = folder / f"{_TEMPLATE}.{name}"
    shutil.rmtree(incomplete, ignore_errors=True)
    shutil.copytree(folder / _TEMPLATE, incomplete, ignore=shutil.ignore_patterns("__pycache__"))
    code = incomplete / "app.py"
    code.write_text(code.read_text().replace(_PLACEHOLDER, name.capitalize()))
    incomplete.rename(path)
    return path
