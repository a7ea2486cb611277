"""The virtual environment that Pulumi.yaml names, with the packages of requirements files."""

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
"""A file inside the environment while pip installs into it; afterwards it is complete."""


def required_files(path: Path) -> list[Path]:
    """Return a requirements file and those that it includes with -r, each once."""
    found = [path]
    for included in re.findall(r"^-r\s*(\S+)", path.read_text(), flags=re.MULTILINE):
        found += required_files(path.parent / included)
    return list(dict.fromkeys(found))


def stamp(files: Iterable[Path], python: str) -> str:
    """Return a hash of the requirements and of the interpreter's version."""
    content = hashlib.sha256(python.encode())
    for path in files:
        content.update(b"\0" + path.read_bytes())
    return content.hexdigest()


def python_of(folder: Path) -> str | None:
    """Return the version of an environment's interpreter; None when it does not run."""
    printed = output([folder / "bin" / "python", "-c", "import sys; print(sys.version.split()[0])"])
    return printed.strip() if printed else None


def create(folder: Path, python: Path, report: Report) -> None:
    """Create an empty environment with pip; what is in `folder` is removed.

    Raises ToolchainError where Python lacks ensurepip and it cannot be installed.
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
        failure=f"Check that {folder.parent} is writable and has space.",
    )


def activate(folder: Path) -> None:
    """Let this process import the packages of an environment.

    The Python that runs the toolchain may be another version: what is imported from there (the
    Docker SDK) runs without compiled modules.
    """
    for packages in map(str, folder.glob("lib/python*/site-packages")):
        if packages not in sys.path:
            sys.path.insert(0, packages)


def _install(folder: Path, requirements: Path, report: Report) -> None:
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    try:
        run(
            [*pip, "install", "--requirement", requirements],
            report=report,
            failure="Check that the package index can be reached, then run the same command again.",
        )
    except ToolchainError:
        # pip ended by itself and has undone what it changed.
        (folder / INSTALLING).unlink()
        raise


def ensure(folder: Path, requirements: Path, report: Report) -> Outcome:
    """Make sure that the environment in `folder` exists and has the packages of `requirements`.

    An environment with an interrupted installation is made again, because pip takes a package
    that was installed partly for installed.
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
            raise ToolchainError(
                f"the Python in the new {folder} does not run. Remove the folder and run the same "
                "command again."
            )
    mark.unlink(missing_ok=True)
    installing.touch()
    _install(folder, requirements, report)
    mark.write_text(stamp(files, version))
    installing.unlink()
    return Outcome("installed", f"Python {version} with {requirements.name} in {folder.name}")
