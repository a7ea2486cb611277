"""Packages of a Debian or Ubuntu host."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from toolchain.run import output, run
from toolchain.steps import Report

OS_RELEASE = Path("/etc/os-release")


def parse_os_release(text: str) -> dict[str, str]:
    """Read os-release(5): shell assignments, one a line."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            fields[key] = "".join(shlex.split(value))
    return fields


def is_debian_like(fields: dict[str, str]) -> bool:
    """Say whether os-release names Debian, Ubuntu or something made from them."""
    names = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
    return bool(names & {"debian", "ubuntu"})


def host() -> dict[str, str]:
    """Return this host's os-release fields; empty where there is no such file."""
    return parse_os_release(OS_RELEASE.read_text()) if OS_RELEASE.is_file() else {}


def why_not_installable() -> str | None:
    """Say why packages cannot be installed here, or None when they can."""
    if not is_debian_like(host()) or shutil.which("apt-get") is None:
        return "this is not a Debian or Ubuntu system"
    if os.geteuid() != 0:
        return "that needs root"
    return None


def install(packages: Sequence[str], report: Report) -> None:
    """Install packages; the caller has asked `why_not_installable` before.

    Raises ToolchainError when apt or dpkg fails.
    """
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    mend = "Mend the package system (`apt-get -f install`), then run the same command again."
    # An installation that was interrupted makes every later one fail until this has run.
    run(["dpkg", "--configure", "-a", "--force-confold"], report=report, failure=mend, env=quiet)
    wait = ("-o", "DPkg::Lock::Timeout=120")
    run(["apt-get", *wait, "update"], report=report, failure=mend, env=quiet)
    run(
        ["apt-get", *wait, "install", "-y", "--no-install-recommends", *packages],
        report=report,
        failure=mend,
        env=quiet,
    )


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
