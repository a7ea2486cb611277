"""Which content of the toolchain has passed its tests on this machine.

`python3 -m toolchain tested` exits with 0 when the content of today has passed, else with 1;
`python3 -m toolchain tested --record` records that it has. The content is a hash of the toolchain
and its tests, the SDK's versions, Python, Go and the kind of machine. The record is in the user's
cache, not in the clone: a new clone with the same content counts as tested, and a machine without
that cache runs the tests.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

from toolchain import cache, golang
from toolchain.run import output

COVERED = (
    "toolchain/**/*",
    "tests/toolchain/**/*",
    "tests/unit/test_toolchain_*.py",
    "tests/conftest.py",
    "requirements.txt",
)
GENERATED = ("build", "__pycache__", "schema.json")
"""Files and folders that the toolchain or Python writes into the clone."""


def covered(project: Path) -> list[Path]:
    """Return the files that the hash covers, sorted."""
    found = (path for pattern in COVERED for path in project.glob(pattern) if path.is_file())
    return sorted(
        path for path in found if not set(GENERATED) & set(path.relative_to(project).parts)
    )


def content_hash(project: Path, versions: Iterable[str]) -> str:
    """Return a hash of the covered files, their names, and the versions of what runs them."""
    content = hashlib.sha256()
    for text in versions:
        content.update(f"{text}\n".encode())
    for path in covered(project):
        content.update(f"{path.relative_to(project)} {path.stat().st_size}\n".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def versions_here() -> list[str]:
    """Return the versions of Python and Go, and the kind of machine."""
    candidates = ("go", cache.folder() / "go" / "bin" / "go")
    go = next(filter(None, (output([program, "env", "GOVERSION"]) for program in candidates)), "")
    return [platform.python_version(), go.strip(), platform.machine(), golang.PACKAGED]


def record(key: str) -> Path:
    """Return the file whose existence says that the content with that hash has passed."""
    return cache.folder() / f"toolchain-tested-{key}"


def has_passed(project: Path) -> bool:
    """Return whether the tests of this content have passed on this machine."""
    return record(content_hash(project, versions_here())).exists()


def record_pass(project: Path) -> None:
    """Record that the tests of this content have passed."""
    cache.write(record(content_hash(project, versions_here())), "")
