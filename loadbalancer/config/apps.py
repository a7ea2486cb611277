"""Apps: the folders under apps/ that can be built, and new ones from the template."""

import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.content.files import Source
from loadbalancer.names import APP_NAME

_PROBE = ("bash", "/srv/_server/probe.sh")
_TEMPLATE = "_new"
_PLACEHOLDER = "NAME"
_DOCKERFILE = "Dockerfile"


@dataclass(frozen=True)
class AppFolder:
    """How an app's image is built.

    `probe` is the command of the healthcheck; None leaves it to the HEALTHCHECK of the app's own
    Dockerfile.
    """

    name: str
    source: Source
    probe: tuple[str, ...] | None


def find(folder: Path) -> dict[str, AppFolder]:
    """Find the apps in a folder: subfolders with an app.py or a Dockerfile of their own.

    Names that start with an underscore are of what the apps share.
    """
    paths = [path for path in sorted(folder.iterdir() if folder.is_dir() else ()) if _is_app(path)]
    shared = _shared(folder, paths) if paths else ()
    return {path.name: _app_folder(path, shared) for path in paths}


def _is_app(path: Path) -> bool:
    if path.name.startswith("_"):
        return False
    try:
        # A link that leads nowhere is found as well, so that it is reported.
        return any(one.is_file() or one.is_symlink() for one in _made_of(path))
    except PermissionError:
        return False  # such as the data of a database


def _made_of(path: Path) -> tuple[Path, Path]:
    return path / _DOCKERFILE, path / "app.py"


def _shared(folder: Path, apps: Collection[Path]) -> tuple[str, ...]:
    """List what the common Dockerfile copies besides an app: what it names, and itself."""
    path = folder / _DOCKERFILE
    if not path.is_file():
        return ()
    lines = path.read_text().splitlines()
    words = set(
        re.split(r"[^\w.-]+", "\n".join(line for line in lines if not line.startswith("#")))
    )
    names = {one.name for one in folder.iterdir()} - {one.name for one in apps}
    return (_DOCKERFILE, *sorted(names & words - {_DOCKERFILE}))


def _app_folder(path: Path, shared: Iterable[str]) -> AppFolder:
    apps, kept = path.parent, (_DOCKERFILE,)
    own_dockerfile, _ = _made_of(path)
    if own_dockerfile.is_file() or own_dockerfile.is_symlink():
        rules = (".dockerignore", f"{_DOCKERFILE}.dockerignore")
        own = Source(apps.parent, f"{apps.name}/{path.name}", without=rules, kept=kept)
        return AppFolder(path.name, own, probe=None)
    required = tuple(f"{path.name}/{name}" for name in ("app.py", "requirements.txt"))
    common = Source(apps.parent, apps.name, (*shared, path.name), required=required, kept=kept)
    return AppFolder(path.name, common, probe=_PROBE)


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
    free = next(f"app{number}" for number in count(1) if not (folder / f"app{number}").exists())
    fix = f"Use another name: ./lb app new {free}"
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
