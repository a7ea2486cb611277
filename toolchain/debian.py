"""Packages of a Debian or Ubuntu host."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from toolchain.run import output, run
from toolchain.steps import Report, ToolchainError

OS_RELEASE = Path("/etc/os-release")
FIX = "Repair the package system (`apt-get -f install`), then run the same command again."

LOCKED = ("Could not get lock", "was locked by another process")
LOCK_TIMEOUT = 300.0
"""Seconds to wait for another run of apt or dpkg."""
LOCK_INTERVAL = 1.0


def parse_os_release(text: str) -> dict[str, str]:
    """Read os-release(5): shell assignments, one a line."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            fields[key] = "".join(shlex.split(value))
    return fields


def is_debian_like(fields: dict[str, str]) -> bool:
    """Return whether os-release names Debian, Ubuntu or a derivative."""
    names = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
    return bool(names & {"debian", "ubuntu"})


def host() -> dict[str, str]:
    """Return this host's os-release fields; empty where there is no such file."""
    return parse_os_release(OS_RELEASE.read_text()) if OS_RELEASE.is_file() else {}


def why_not_unpackable() -> str | None:
    """Return why packages cannot be unpacked here, or None when they can; root is not needed."""
    if not is_debian_like(host()) or shutil.which("apt-get") is None:
        return "this is not a Debian or Ubuntu system"
    return None


def why_not_installable() -> str | None:
    """Return why packages cannot be installed here, or None when they can."""
    why_not = why_not_unpackable()
    if why_not is None and os.geteuid() != 0:
        return "that needs root"
    return why_not


def install(packages: Sequence[str], report: Report, otherwise: str = "") -> None:
    """Install packages; the caller has checked `why_not_installable`.

    Raises ToolchainError when apt or dpkg fails; `otherwise` is the advice for that case.
    """
    # An installation that was interrupted makes every later one fail until this has run.
    _run_unlocked(["dpkg", "--configure", "-a", "--force-confold"], report)
    _run_unlocked(["apt-get", "update"], report)
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    _run_unlocked(command, report, otherwise)


def unpack(package: str, folder: Path, report: Report, otherwise: str = "") -> None:
    """Unpack a package into `folder` without installing it or its dependencies.

    None of its scripts runs, so no service starts. Raises ToolchainError when apt or dpkg fails;
    `otherwise` is the advice for that case.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if os.geteuid() == 0:  # only root can update the package lists
        _run_unlocked(["apt-get", "update"], report)
    _run_unlocked(["apt-get", "download", package], report, otherwise, cwd=partial)
    for archive in partial.glob("*.deb"):
        run(["dpkg-deb", "-x", archive, partial], report=report, failure=otherwise)
        archive.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _run_unlocked(
    command: Sequence[str], report: Report, otherwise: str = "", cwd: Path | None = None
) -> None:
    """Run apt or dpkg; while another run holds one of their locks, wait and run it again.

    apt itself waits for only one of its three locks, dpkg for none.
    """
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    failure = f"{FIX} {otherwise}".rstrip()
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            run(command, report=report, failure=failure, env=quiet, cwd=cwd)
        except ToolchainError as error:
            locked = any(text in str(error) for text in LOCKED)
            if not locked or time.monotonic() >= deadline:
                raise
        else:
            return
        report("waiting for another run of apt or dpkg to end")
        time.sleep(LOCK_INTERVAL)


def mirror() -> str | None:
    """Return the address of the package mirror that this Debian host uses, if it is one."""
    if host().get("ID") != "debian":
        return None
    listing = output(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ]
    )
    return choose_mirror(listing or "", host().get("VERSION_CODENAME", ""))


def choose_mirror(listing: str, codename: str) -> str | None:
    """Pick the mirror of `codename`'s main section.

    `listing` has lines of address, release and component, as `apt-get indextargets` gives them.
    """
    releases = {codename, "oldstable", "stable", "testing", "unstable", "sid"}
    for line in listing.splitlines():
        address, release, component = (*line.split(), "", "", "")[:3]
        if release in releases and component == "main":
            return first_of_list(address).rstrip("/")
    return None


def first_of_list(address: str) -> str:
    """Resolve apt's `mirror+file:` to the first address of its list; others stay as they are."""
    scheme, _, place = address.partition(":")
    if scheme != "mirror+file":
        return address
    path = Path("/" + place.strip("/"))
    lines = path.read_text().split() if path.is_file() else []
    return next((line for line in lines if "://" in line), address)
