"""A folder's files and their content, without what tools leave behind."""

import hashlib
from pathlib import Path

_LEFT_OUT = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".DS_Store"}


def files(folder: Path) -> list[Path]:
    """List the files of a folder and of those in it, in an order that does not change."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and _LEFT_OUT.isdisjoint(file.parts) and file.suffix != ".pyc"
    )


def digest(data: bytes) -> str:
    """Shorten a content to 12 hexadecimal digits that no other is going to have."""
    return hashlib.sha256(data).hexdigest()[:12]
