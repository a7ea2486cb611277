"""The Pulumi CLI that this machine has: where it is, whether it is complete, its version.

Imports little, because every `./lb` command asks for it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolchain import cache
from toolchain.run import output
from toolchain.versions import PULUMI_VERSION, Version, parse_version

PROGRAMS = (
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
    "pulumi",
)
"""The programs that belong together. The CLI is installed last: it makes the set complete."""


def home() -> Path:
    """Return the folder in which Pulumi keeps its programs and plugins."""
    given = os.environ.get("PULUMI_HOME")
    return Path(given) if given else Path.home() / ".pulumi"


def installed_folder() -> Path:
    """Return where programs are installed to."""
    return home() / "bin"


def complete(folder: Path, path: str) -> bool:
    """Return whether the CLI in `folder` finds what it needs to run Python programs.

    The engine looks beside itself and on `path`.
    """
    where = f"{folder}{os.pathsep}{path}"
    return all(shutil.which(name, path=where) is not None for name in PROGRAMS)


def candidates() -> list[Path]:
    """Return the CLIs to consider: the one on PATH before the one that is installed here."""
    on_path = shutil.which("pulumi")
    own = installed_folder() / "pulumi"
    found = [Path(on_path)] if on_path else []
    return list(dict.fromkeys([*found, own]))


def find(*, recorded: bool = False) -> tuple[Path, str] | None:
    """Return a CLI that is new enough and complete, and its version; None if there is none.

    With `recorded`, a CLI whose file has not changed since its version was last asked for is
    not started again: that takes a third of a second.
    """
    pinned = parse_version(PULUMI_VERSION)
    for program in candidates():
        if program.is_file() and complete(program.parent, os.environ.get("PATH", "")):
            version = (_recorded_version(program) if recorded else None) or version_of(program)
            if version is not None and version >= pinned:
                return program, ".".join(str(number) for number in version)
    return None


def version_of(program: Path) -> Version | None:
    """Run a Pulumi CLI for its version and record the answer; None when it does not run."""
    printed = output([program, "version"])
    try:
        version = parse_version(printed or "")
    except ValueError:
        return None
    with suppress(OSError):  # without a cache that can be written to, it is asked each time
        versions = {**_read_versions(), str(program): [*_identity(program), list(version)]}
        cache.write(_versions_file(), json.dumps(versions))
    return version


def _recorded_version(program: Path) -> Version | None:
    with suppress(OSError, KeyError, ValueError, TypeError):  # none, or not written by us
        *identity, version = _read_versions()[str(program)]
        if tuple(identity) == _identity(program):
            return tuple(int(number) for number in version)
    return None


def _identity(program: Path) -> tuple[str, int, int]:
    """Return what differs when a program is replaced: its real path, size and time."""
    real = program.resolve()
    status = real.stat()
    return str(real), status.st_size, status.st_mtime_ns


def _versions_file() -> Path:
    return cache.folder() / "pulumi-versions.json"


def _read_versions() -> dict[str, Any]:
    try:
        found = json.loads(_versions_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
