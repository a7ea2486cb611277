"""Programs that only the tests need: found, else from Debian packages."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache, debian
from toolchain.run import attempt
from toolchain.steps import Outcome, Report, ToolchainError

VERSION_TIMEOUT = 30.0


@dataclass(frozen=True)
class Tool:
    """A program, and where it comes from."""

    program: str
    needed_by: str
    package: str
    otherwise: str
    """What to do where the package is not available."""
    unpacked: bool = False
    """Whether the package is unpacked into the cache instead of being installed."""
    version_option: str = "--version"
    """What makes the program print its version in the first line that is not empty."""


# Debian's prometheus is unpacked, because its installation starts a server on port 9090. Its two
# programs need only the C library.
TOOLS = (
    Tool("wrk", "the load tests", "wrk", "Install wrk."),
    Tool(
        "slowhttptest",
        "the tests of slow attacks",
        "slowhttptest",
        "Install slowhttptest.",
        version_option="-h",
    ),
    Tool(
        "chromium",
        "the tests of the live page",
        "chromium",
        "Install Chromium, so that `chromium` is on PATH (on Ubuntu: snap install chromium).",
    ),
    Tool(
        "prometheus",
        "the tests of monitoring/",
        "prometheus",
        "Install Prometheus.",
        unpacked=True,
    ),
    Tool(
        "promtool",
        "the tests of monitoring/",
        "prometheus",
        "Install Prometheus, which brings it.",
        unpacked=True,
    ),
)


def find(program: str) -> Path | None:
    """Return where a program is: on PATH, else in an unpacked package, else None."""
    unpacked = dict.fromkeys(_folder(tool) / "usr/bin" for tool in TOOLS if tool.unpacked)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, unpacked)])
    found = shutil.which(program, path=path)
    return None if found is None else Path(found)


def version_of(program: Path, option: str = "--version") -> str | None:
    """Return the version that a program prints, or None when it prints nothing.

    The exit code is ignored: wrk always exits with 1.
    """
    done = attempt([program, option], VERSION_TIMEOUT)
    if done is None:
        return None
    first = done.stdout.strip().partition("\n")[0].strip()
    number = re.search(r"\d+(\.\d+)+", first)
    return number[0] if number else first or None


def ensure(tool: Tool, report: Report) -> Outcome:
    """Make sure that a program is there and runs.

    Raises ToolchainError, with what to do, where its package can be neither installed nor unpacked.
    """
    found = _describe(tool)
    if found is not None:
        return Outcome("found", found)
    why_not = debian.why_not_unpackable() if tool.unpacked else debian.why_not_installable()
    if why_not is not None:
        raise ToolchainError(
            f"{tool.needed_by} need it, and {why_not} to install it. {tool.otherwise}"
        )
    if tool.unpacked:
        debian.unpack(tool.package, _folder(tool), report, tool.otherwise)
    else:
        debian.install([tool.package], report, tool.otherwise)
    found = _describe(tool)
    if found is None:
        raise ToolchainError(
            f"{tool.program} does not run, though its package {tool.package} is installed. "
            f"{tool.otherwise}"
        )
    return Outcome("downloaded" if tool.unpacked else "installed", found)


def _describe(tool: Tool) -> str | None:
    program = find(tool.program)
    version = None if program is None else version_of(program, tool.version_option)
    return None if version is None else f"{version} at {program}"


def _folder(tool: Tool) -> Path:
    return cache.folder() / tool.package
