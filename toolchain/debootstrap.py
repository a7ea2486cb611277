"""A minimal Debian system in a folder, and the tar that an image is made of."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolchain import debian
from toolchain.run import output, run
from toolchain.steps import Report, ToolchainError

SCRIPTS = Path("/usr/share/debootstrap/scripts")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
REMOVALS = 6
MIRROR_VARIABLE = "LOADBALANCER_DEBIAN_MIRROR"

# Folders that the engine mounts, caches and logs, and what Debian's slim images leave out.
# Licences (doc/*/copyright) stay.
EMPTIED = (
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/man",
    "var/lib/apt/lists",
    "var/log",
    "var/tmp",
)
DROPPED = ("etc/hostname", "etc/machine-id", "etc/resolv.conf")
DOCUMENTATION = "usr/share/doc/"


def kept(path: str) -> bool:
    """Return whether a path, relative to the system's root, belongs in the image."""
    if path in DROPPED or path.endswith((".dpkg-old", "-old")):
        return False
    if any(path.startswith(f"{folder}/") for folder in EMPTIED):
        return False
    if path.startswith(DOCUMENTATION):
        below = path.removeprefix(DOCUMENTATION)
        return "/" not in below or below.endswith("/copyright")
    return True


def mount_points(mountinfo: str, below: Path) -> list[Path]:
    """Return what is mounted under a folder, innermost first, from proc's mountinfo text."""
    points = (line.split()[4] for line in mountinfo.splitlines())
    plain = (Path(point.encode().decode("unicode_escape")) for point in points)
    return sorted((point for point in plain if point.is_relative_to(below)), reverse=True)


def remove(folder: Path) -> None:
    """Remove a system made by debootstrap, after unmounting what it has mounted there."""
    if not folder.exists():
        return
    for point in mount_points(Path("/proc/self/mountinfo").read_text(), folder.resolve()):
        subprocess.run(["umount", "--lazy", str(point)], check=True)
    for _ in range(REMOVALS):
        # A debootstrap whose parent was killed may still write there for a moment.
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.5)
    shutil.rmtree(folder)


def ensure(report: Report) -> str:
    """Make sure that debootstrap can run, and return the mirror to use.

    Raises ToolchainError where it cannot: no root, or no Debian mirror known.
    """
    why_not = debian.why_not_installable()
    if why_not is not None:
        raise ToolchainError(
            f"the official images can be neither found nor pulled, and {why_not} to make "
            "equivalents from Debian packages. Load them into the engine (`docker load`), or "
            "give images of your own their names, such as: docker tag NAME python:3.14-slim"
        )
    if not (SCRIPTS / "sid").exists() or not KEYRING.exists():
        debian.install(["debootstrap", "debian-archive-keyring"], report)
    mirror = os.environ.get(MIRROR_VARIABLE) or debian.mirror()
    if mirror is None:
        raise ToolchainError(
            "the official images can be neither found nor pulled, and apt's sources name no "
            f"Debian mirror to make equivalents from. Name one: export {MIRROR_VARIABLE}=ADDRESS"
        )
    return mirror


def make(root: Path, suite: str, packages: Sequence[str], mirror: str, report: Report) -> None:
    """Install a minimal system with `packages` into `root`."""
    # An older debootstrap does not know a newer release by name; they are all made like sid.
    script = SCRIPTS / suite if (SCRIPTS / suite).exists() else SCRIPTS / "sid"
    run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            f"--keyring={KEYRING}",
            suite,
            root,
            mirror,
            script,
        ],
        report=report,
        failure=f"See that {mirror} can be reached, or name another mirror: "
        f"export {MIRROR_VARIABLE}=ADDRESS",
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


def package_version(root: Path, package: str) -> str:
    """Return the version of a package installed in `root`, without epoch and Debian revision."""
    admin = root / "var/lib/dpkg"
    printed = output(["dpkg-query", f"--admindir={admin}", "-W", "-f", "${Version}", package])
    if printed is None:
        raise ToolchainError(f"{package} is not installed in {root}")
    return printed.rpartition(":")[2].rpartition("-")[0]


def pack(root: Path, extra: Iterable[tuple[str, bytes]], into: Path) -> None:
    """Write the tar of an image's root: what is kept of `root`, and extra files (path, content)."""

    def choose(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uname = member.gname = ""
        return member if kept(member.name) else None

    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as tar:
        for child in sorted(root.iterdir()):
            tar.add(child, arcname=child.name, filter=choose)
        for path, content in extra:
            add_bytes(tar, path, content)


def add_bytes(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    """Add a file, readable by all, that exists nowhere else."""
    member = tarfile.TarInfo(path)
    member.size = len(content)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(content))
