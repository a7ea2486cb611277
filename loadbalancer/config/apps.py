"""Apps by convention: each folder under apps/ that can be built is one."""

from dataclasses import dataclass
from pathlib import Path

_PROBE = ("bash", "/srv/_server/probe.sh")


@dataclass(frozen=True)
class AppFolder:
    """Where an app's image is built: what its Dockerfile sees, and what of that it uses."""

    name: str
    context: Path
    content: tuple[Path, ...]
    probe: tuple[str, ...] | None
    """Command of the healthcheck; None leaves it to the HEALTHCHECK of the app's Dockerfile."""


def find(folder: Path) -> dict[str, AppFolder]:
    """Find the apps in a folder: subfolders with an app.py, or with a Dockerfile of their own.

    What starts with an underscore belongs to the form that apps share.
    """
    return {
        path.name: _app(path)
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if not path.name.startswith("_")
        and ((path / "app.py").is_file() or (path / "Dockerfile").is_file())
    }


def _app(path: Path) -> AppFolder:
    """Build by the app's own Dockerfile if it has one, else by the one that all share."""
    if (path / "Dockerfile").is_file():
        return AppFolder(path.name, context=path, content=(path,), probe=None)
    shared = [other for other in sorted(path.parent.iterdir()) if other.is_file()]
    shared.append(path.parent / "_server")
    return AppFolder(path.name, context=path.parent, content=(*shared, path), probe=_PROBE)
