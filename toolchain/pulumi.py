"""Pulumi's programs and its Docker plugin: found, downloaded from the vendor, or built."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from toolchain import cache, download, golang
from toolchain.build import build_programs
from toolchain.pulumicli import PROGRAMS, find, home, installed_folder
from toolchain.run import output, run
from toolchain.steps import Outcome, Report, ToolchainError
from toolchain.versions import DOCKER_PLUGIN_VERSION, PULUMI_VERSION

FOLDER = Path(__file__).parent

PLUGIN = "pulumi-resource-docker"
PLUGIN_TIMEOUT = 60.0
"""Seconds within which the CLI must have downloaded the vendor's plugin."""

SOURCES = (".go", ".mod", ".sum")
HOST = "pulumi-language-python"
"""The folder whose files are all part of the program: it embeds a Python file."""


def sources_hash(files: Iterable[Path], root: Path) -> str:
    """Return a hash over the names and contents of what the programs are built from."""
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
        content.update(path.read_bytes())
    return content.hexdigest()


def own_sources() -> list[Path]:
    """Return the Go sources of the toolchain."""
    return [
        path
        for path in [*FOLDER.glob("*"), *FOLDER.glob("cmd/**/*"), *FOLDER.glob("shim/*")]
        if (path.suffix in SOURCES or path.parent.name == HOST)
        and not path.name.endswith("_test.go")
    ]


def stamp_file() -> Path:
    """Return the file that says from which sources the installed programs were built."""
    return home() / "loadbalancer-sources"


def is_outdated(program: Path) -> bool:
    """Return whether a program was built here from sources that have changed since."""
    stamp = stamp_file()
    if program.parent != installed_folder() or not stamp.is_file():
        return False
    return stamp.read_text().strip() != sources_hash(own_sources(), FOLDER)


def ensure(report: Report) -> Outcome:
    """Make sure of the CLI and what it needs for Python programs."""
    found = find()
    if found is not None and not is_outdated(found[0]):
        return Outcome("found", f"{found[1]} at {found[0]}")
    why_built = "its sources have changed"
    if found is None:
        try:
            source = download.fetch(PULUMI_VERSION, installed_folder(), PROGRAMS, report)
            stamp_file().unlink(missing_ok=True)
            return Outcome("downloaded", f"{PULUMI_VERSION} from {source}")
        except download.DownloadError as error:
            why_built = str(error)
            report(why_built)
    install_built(report)
    return Outcome("built", f"{PULUMI_VERSION} from Go modules ({why_built})")


def built(report: Report) -> Path:
    """Build the programs that are not up to date in the cache, and return their folder."""
    go = golang.ensure(cache.folder() / "go", report)
    folder = cache.folder() / "programs"
    build_programs(go, folder, report)
    return folder


def install_built(report: Report) -> None:
    """Build the programs and put them where they are found; the plugin goes to its cache.

    The plugin must not be on PATH: the CLI would warn of it at every command.
    """
    programs = built(report)
    into = installed_folder()
    into.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        install(programs / name, into / name)
    install_plugin_file(into / "pulumi", programs / PLUGIN)
    stamp_file().write_text(sources_hash(own_sources(), FOLDER) + "\n")


def install(source: Path, target: Path) -> None:
    """Copy a program; it appears under its name only when it is complete."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.copy2(source, partial)
    partial.replace(target)


def plugin_folder() -> Path:
    """Return where the CLI keeps the Docker plugin."""
    return home() / "plugins" / f"resource-docker-v{DOCKER_PLUGIN_VERSION}"


def has_plugin() -> bool:
    """Return whether the Docker plugin is installed; `.partial` marks an interrupted one."""
    folder = plugin_folder()
    partial = folder.with_name(f"{folder.name}.partial")
    return (folder / PLUGIN).is_file() and not partial.exists()


def plugin_install(cli: Path) -> list[str | Path]:
    """Return the command that installs the Docker plugin from the vendor."""
    return [cli, "plugin", "install", "resource", "docker", DOCKER_PLUGIN_VERSION]


def install_plugin_file(cli: Path, binary: Path) -> None:
    """Install a plugin that was built here; one that is there already is replaced."""
    run(
        [*plugin_install(cli), "--file", binary, "--reinstall"],
        failure=f"See that {home()} can be written to.",
    )


def ensure_plugin(report: Report) -> Outcome:
    """Make sure of the Docker plugin; the CLI must be installed."""
    if has_plugin():
        return Outcome("found", f"{DOCKER_PLUGIN_VERSION} at {plugin_folder()}")
    found = find()
    if found is None:
        raise ToolchainError("the Pulumi CLI is missing. Run the same command again.")
    report("asking the vendor")
    if output(plugin_install(found[0]), PLUGIN_TIMEOUT) is not None and has_plugin():
        return Outcome("downloaded", DOCKER_PLUGIN_VERSION)
    install_plugin_file(found[0], built(report) / PLUGIN)
    return Outcome("built", f"{DOCKER_PLUGIN_VERSION} from Go modules (no download)")
