"""The vendor's release archive: download, check and unpack.

Names and layout are those of the vendor's release configuration (.goreleaser.yml).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import re
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from toolchain.steps import Report, ToolchainError

VARIABLE = "LOADBALANCER_PULUMI_DOWNLOADS"
"""The environment variable that names a mirror of the vendor's downloads."""
VENDOR = "https://get.pulumi.com/releases/sdk"
TIMEOUT = 5.0
"""Seconds without data after which the server counts as out of reach."""
BLOCK = 1 << 20
FOLDER = "pulumi"
"""The folder that every member of the archive is in."""

SYSTEMS = {"linux": "linux", "darwin": "darwin"}
MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class DownloadError(ToolchainError):
    """The programs cannot be downloaded; they can still be built."""


def base_address() -> str:
    """Return the address of the folder that holds the releases."""
    return os.environ.get(VARIABLE, VENDOR).rstrip("/")


def archive_name(version: str, system: str, machine: str) -> str:
    """Return the name of the archive for a platform, as Python names platforms.

    Raises DownloadError for one that the vendor does not build for (or that has no tar).
    """
    try:
        return f"pulumi-v{version}-{SYSTEMS[system]}-{MACHINES[machine]}.tar.gz"
    except KeyError:
        raise DownloadError(f"the vendor has no archive for {system} on {machine}") from None


def checksums_name(version: str) -> str:
    """Return the name of a release's checksum file."""
    return f"pulumi-{version}-checksums.txt"


def checksum_of(text: str, name: str) -> str:
    """Return the SHA-256 that a checksum file gives for a name, in lower case.

    Raises DownloadError when it has none.
    """
    found = re.search(rf"^([0-9a-fA-F]{{64}}) [ *]{re.escape(name)}\s*$", text, flags=re.MULTILINE)
    if found is None:
        raise DownloadError(f"the release's checksum file does not list {name}")
    return found[1].lower()


def member_name(path: str) -> str | None:
    """Return the program's name for an archive member, None for what is not a program.

    Raises DownloadError for a path that would leave the folder.
    """
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise DownloadError(f"the archive has a member {path!r} outside its folder")
    if len(parts) == len((FOLDER, "program")) and parts[0] == FOLDER:
        return parts[1]
    return None


def fetch(
    version: str,
    into: Path,
    programs: Iterable[str],
    report: Report,
    timeout: float = TIMEOUT,
) -> str:
    """Download the release, check it, install its programs into a folder, and return the host.

    The archive must contain `programs`; the last of them is installed last. `timeout` is the
    longest time without data, in seconds. Raises DownloadError, and leaves the folder unchanged,
    when the server cannot be reached or the checksum is wrong.
    """
    base = base_address()
    name = archive_name(version, sys.platform, platform.machine())
    host = urlsplit(base).netloc
    try:
        with _open(f"{base}/{checksums_name(version)}", timeout) as answer:
            expected = checksum_of(answer.read().decode(errors="replace"), name)
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=into) as folder:
            archive = Path(folder) / name
            actual = _save(f"{base}/{name}", archive, timeout, report)
            if actual != expected:
                raise DownloadError(f"wrong checksum of {name} from {host}, refused")
            report("unpacking")
            _install(_unpack(archive, Path(folder)), into, list(programs))
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(f"download from {host} failed: {_reason(error)}") from error
    return host


def _reason(error: Exception) -> object:
    """Return the cause inside urllib's error; an HTTP status has none."""
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        return error.reason
    return error


def _open(address: str, timeout: float) -> IO[bytes]:
    if urlsplit(address).scheme not in {"http", "https"}:
        raise DownloadError(f"{address} is not an http address; see {VARIABLE}")
    answer: IO[bytes] = urllib.request.urlopen(address, timeout=timeout)  # noqa: S310
    return answer


def _save(address: str, path: Path, timeout: float, report: Report) -> str:
    """Download to a file and return its SHA-256."""
    content = hashlib.sha256()
    done = 0
    with _open(address, timeout) as answer, path.open("wb") as file:
        while block := answer.read(BLOCK):
            content.update(block)
            file.write(block)
            done += len(block)
            report(f"downloading {path.name}, {done / 1e6:.0f} MB")
    return content.hexdigest()


def _unpack(archive: Path, folder: Path) -> dict[str, Path]:
    """Write the archive's programs into a folder, and return them by name.

    Only regular files directly in the archive's one folder are taken, and they are written
    under names chosen here, so that no member decides its path.
    """
    found: dict[str, Path] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            name = member_name(member.name)
            source = tar.extractfile(member) if name is not None and member.isreg() else None
            if name is None or source is None:
                continue
            path = folder / f"program-{len(found)}"
            with source, path.open("wb") as file:
                while block := source.read(BLOCK):
                    file.write(block)
            path.chmod(0o755)
            found[name] = path
    return found


def _install(found: dict[str, Path], into: Path, programs: list[str]) -> None:
    lacking = [name for name in programs if name not in found]
    if lacking:
        raise DownloadError(f"the archive lacks {', '.join(lacking)}")
    for name in [*(name for name in found if name not in programs), *programs]:
        found[name].replace(into / name)
