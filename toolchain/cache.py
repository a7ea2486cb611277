"""The cache of this user, shared by every clone of the project.

It holds what is expensive to make and does not depend on the clone: Go, Pulumi's programs as
built, Debian packages unpacked for the tests, and which toolchain content has passed its tests.
Removing the folder is always safe.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def folder() -> Path:
    """Return the cache folder: `loadbalancer` in XDG_CACHE_HOME, else in `~/.cache`.

    As the XDG specification asks, a relative XDG_CACHE_HOME is ignored.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "loadbalancer"


def write(path: Path, text: str) -> None:
    """Write a file in one step: readers see the old content or the new, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
