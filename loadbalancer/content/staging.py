"""Staging: a folder with content and nothing else, from which Docker builds an image.

Docker sends a folder as it is: with links, which lead nowhere in an image, and with files that git
ignores. So it gets a copy.
"""

import atexit
import fcntl
import os
import secrets
import shutil
from functools import cache
from pathlib import Path
from typing import IO

from loadbalancer.content.files import Content, ContentError, File
from loadbalancer.content.files import digest as digest_of

FOLDER = ".build"
"""Where staged content lies, in the project's folder, while a program needs it."""

LINKED = 8 << 20
"""Bytes from which on a file is linked, not copied, where it can be."""
_staged: dict[File, Path] = {}
"""Files that this program has staged, and where."""
_MODES = {False: 0o644, True: 0o755}


def stage(project: Path, name: str, content: Content) -> None:
    """Copy content into a folder of a name, which lasts until the program ends.

    Args:
        project: the project's folder.
        name: name of the folder in FOLDER, the same only for the same content.
        content: what to copy.

    Raises:
        ContentError: when a file has changed since it was read.
    """
    root = project / FOLDER
    _reserve(root)
    if (root / name).exists():
        return
    incomplete = root / f"{name}.{secrets.token_hex(4)}"
    inner = (parent for file in content.files for parent in _parents(file))
    for folder in dict.fromkeys(("", *inner)):
        (incomplete / folder).mkdir()
        (incomplete / folder).chmod(_MODES[True])
    for file in content.files:
        target = incomplete / file.name
        # What several images share is copied once.
        if file not in _staged or not _link(_staged[file], target):
            _copy(file, target)
    (incomplete / ".dockerignore").write_text(
        "".join(f"{one}\n" for one in (".dockerignore", *content.hidden))
    )
    try:
        incomplete.rename(root / name)
    except OSError:  # another stack has staged the same
        shutil.rmtree(incomplete)
    for file in content.files:
        _staged.setdefault(file, root / name / file.name)


def _parents(file: File) -> list[str]:
    """List the folders that a file is in, the outer ones first."""
    parts = file.name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _copy(file: File, target: Path) -> None:
    mode = _MODES[file.executable]
    try:
        found = file.path.stat()
        linked = (
            found.st_size >= LINKED and found.st_mode & 0o7777 == mode and _link(file.path, target)
        )
        if not linked:
            shutil.copyfile(file.path, target)
            target.chmod(mode)
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        changed = digest_of(target) != file.digest
    except FileNotFoundError:
        changed = True
    if changed:
        raise ContentError(
            file.name, str(file.path), "changed while the update ran", "Run it again: pulumi up"
        )


def _link(path: Path, target: Path) -> bool:
    try:
        os.link(path, target)
    except OSError:  # another file system, or another owner
        return False
    return True


@cache
def _reserve(root: Path) -> IO[bytes]:
    """Keep the folder from being removed by other programs, until this one ends.

    The only program there removes its content at its end, and what a killed program has left.
    """
    root.mkdir(exist_ok=True)
    lock = (root / "lock").open("ab")
    if _is_alone(lock):
        _clear(root)
    fcntl.flock(lock, fcntl.LOCK_SH)
    atexit.register(_release, root, lock)
    return lock


def _release(root: Path, lock: IO[bytes]) -> None:
    if _is_alone(lock):
        _clear(root)
    lock.close()


def _is_alone(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(root: Path) -> None:
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
