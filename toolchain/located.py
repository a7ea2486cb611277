"""The Pulumi CLI as it was found last: `pulumi version` takes half a second, and verbs need it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolchain.versions import PULUMI_VERSION

CACHE = Path(__file__).parent / "build" / "cli.json"


def home() -> Path:
    """Return the folder in which Pulumi keeps its programs and plugins."""
    given = os.environ.get("PULUMI_HOME")
    return Path(given) if given else Path.home() / ".pulumi"


def candidates() -> list[Path]:
    """Return the CLIs to consider: the one on PATH before the one that is installed here."""
    on_path = shutil.which("pulumi")
    own = home() / "bin" / "pulumi"
    found = [Path(on_path)] if on_path else []
    return list(dict.fromkeys([*found, own]))


def find(cache: Path = CACHE) -> Path | None:
    """Return the CLI to use, None if there is none that is new enough and complete.

    The answer is kept in a file for as long as PATH, the version needed and the files of all
    candidates stay the same.
    """
    key = _key(candidates())
    try:
        kept = json.loads(cache.read_text())
        if kept["key"] == key:
            return Path(kept["program"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not written yet, or by another version of this file
    from toolchain import pulumi  # noqa: PLC0415 - a tenth of a second that is rarely needed

    found = pulumi.find()
    if found is None:
        return None
    _write(cache, {"key": key, "program": str(found[0])})
    return found[0]


def _key(programs: Sequence[Path]) -> list[Any]:
    """Describe everything that the answer depends on."""
    files: list[Any] = []
    for program in programs:
        try:
            stat = program.stat()
            files.append([str(program), stat.st_ino, stat.st_size, stat.st_mtime_ns])
        except OSError:
            files.append([str(program)])
    return [PULUMI_VERSION, os.environ.get("PATH", ""), files]


def _write(cache: Path, value: object) -> None:
    """Write the cache as a whole; without it the next verb is slower, but nothing is wrong."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_name(f".{cache.name}.{os.getpid()}")
        partial.write_text(json.dumps(value))
        partial.replace(cache)
    except OSError:
        return
