"""The virtual environment that Pulumi.yaml names, with what requirements files ask for."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from toolchain import debian
from toolchain.run import output, run
from toolchain.steps import Outcome, Report, ToolchainError

INSTALLING = ".loadbalancer-installing"
"""A file inside the environment while something is being installed: it may be half done."""


def required_files(path: Path) -> list[Path]:
    """Return a requirements file and those that it includes with -r, each once."""
    found = [path]
    for included in re.findall(r"^-r\s*(\S+)", path.read_text(), flags=re.MULTILINE):
        found += required_files(path.parent / included)
    return list(dict.fromkeys(found))


def stamp(files: Iterable[Path], python: str) -> str:
    """Return a hash over what is to be installed and the interpreter it is for."""
    content = hashlib.sha256(python.encode())
    for path in files:
        content.update(b"\0" + path.read_bytes())
    return content.hexdigest()


def python_of(folder: Path) -> str | None:
    """Return the version of an environment's interpreter; None when there is none that works."""
    said = output([folder / "bin" / "python", "-c", "import sys; print(sys.version.split()[0])"])
    return said.strip() if said else None


def create(folder: Path, python: Path, report: Report) -> None:
    """Create an empty environment with pip, in place of whatever is in `folder`.

    Raises ToolchainError where Python cannot do that and its package cannot be installed.
    """
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python3.{sys.version_info.minor}-venv"
        why_not = debian.why_not_installable()
        if why_not is not None:
            raise ToolchainError(
                f"{python} cannot create virtual environments (it lacks ensurepip), and {why_not} "
                f"to install that. On Debian or Ubuntu: sudo apt-get install {package}"
            )
        debian.install([package], report)
    report(f"creating {folder.name}")
    run(
        [python, "-m", "venv", "--clear", folder],
        failure=f"See that {folder.parent} can be written to and has space.",
    )


def _install(folder: Path, requirements: Path, report: Report) -> None:
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    try:
        run(
            [*pip, "install", "--requirement", requirements],
            report=report,
            failure="See that the package index can be reached, then run the same command again.",
        )
    except ToolchainError:
        # pip came to its own end and has put back what it changed.
        (folder / INSTALLING).unlink()
        raise


def ensure(folder: Path, requirements: Path, report: Report) -> Outcome:
    """Make sure of the environment in `folder` and that it has what `requirements` asks for.

    What an interrupted installation left behind is thrown away, because pip takes a package
    that is half there for installed.
    """
    files = required_files(requirements)
    mark = folder / f".loadbalancer-{requirements.stem}"
    installing = folder / INSTALLING
    version = python_of(folder)
    if version is not None and not installing.exists():
        wanted = stamp(files, version)
        if mark.is_file() and mark.read_text() == wanted:
            return Outcome("found", f"Python {version} with {requirements.name} in {folder.name}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        create(folder, Path(sys.executable), report)
        version = python_of(folder)
        if version is None:
            raise ToolchainError(f"the new {folder} has no Python that runs. Remove it, try again.")
    mark.unlink(missing_ok=True)
    installing.touch()
    _install(folder, requirements, report)
    mark.write_text(stamp(files, version))
    installing.unlink()
    return Outcome("installed", f"Python {version} with {requirements.name} in {folder.name}")
