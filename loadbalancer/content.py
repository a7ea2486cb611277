"""The files of a folder and digests of their content."""

import hashlib
from pathlib import Path

_IGNORED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".DS_Store"}


def files(folder: Path) -> list[Path]:
    """List the files of a folder and its subfolders, sorted, without caches of tools."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and _IGNORED.isdisjoint(file.parts) and file.suffix != ".pyc"
    )


def digest(data: bytes) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()[:12]
