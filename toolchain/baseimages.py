"""The base images: the official ones, else equivalents made from Debian packages."""

from __future__ import annotations

import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path

from toolchain import certificates, debootstrap
from toolchain.dockerapi import Engine, EngineError
from toolchain.recipes import NGINX, PYTHON, RECIPES, SUITE, Recipe, digest
from toolchain.steps import Outcome, Report, ToolchainError

__all__ = ["NGINX", "PYTHON", "RECIPES", "Image", "ensure", "look"]

PULL_SILENCE = 10.0
"""Seconds without a word from the registry after which it counts as out of reach."""
BUILD_SILENCE = 300.0
"""Seconds without a word from the engine after which a build counts as stuck."""
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """A base image that is in the engine."""

    recipe: Recipe
    name: str

    @property
    def official(self) -> bool:
        """Whether this is the official image."""
        return self.name == self.recipe.official


def own_name(recipe: Recipe) -> str:
    """Return the name of the equivalent that today's recipe makes on this host."""
    return recipe.own_name(digest(recipe, certificates.of_host()))


def look(engine: Engine, recipe: Recipe) -> Image | None:
    """Return the image to use if the engine has it: the official one before an equivalent."""
    for name in (recipe.official, own_name(recipe)):
        if engine.image(name) is not None:
            return Image(recipe, name)
    return None


def ensure(engine: Engine, recipe: Recipe, work: Path, report: Report) -> Outcome:
    """Make sure of one base image; `work` is a folder for what is only needed meanwhile.

    Raises ToolchainError when it can be neither pulled nor made.
    """
    found = look(engine, recipe)
    if found is not None:
        return Outcome("found", found.name)
    try:
        for line in engine.pull(recipe.official, PULL_SILENCE):
            report(line)
        return Outcome("downloaded", recipe.official)
    except EngineError as error:
        report(f"{recipe.official} cannot be pulled: {error}")
    return _make(engine, recipe, work, report)


def _make(engine: Engine, recipe: Recipe, work: Path, report: Report) -> Outcome:
    here = MACHINES.get(platform.machine(), platform.machine())
    there = engine.architecture()
    if here != there:
        raise ToolchainError(
            f"{recipe.official} cannot be pulled, and an equivalent made on this {here} machine "
            f"does not run on the engine's {there}. Load the image into the engine."
        )
    mirror = debootstrap.ensure(report)
    name = own_name(recipe)
    root = work / recipe.key
    debootstrap.remove(work)
    work.mkdir(parents=True)
    try:
        debootstrap.make(root, SUITE, recipe.packages, mirror, report)
        version = debootstrap.package_version(root, recipe.package)
        if not version.startswith(f"{recipe.version}."):
            raise ToolchainError(
                f"Debian {SUITE} has {recipe.package} {version} now, and {recipe.version} is "
                "needed. Load the official image into the engine (`docker load`)."
            )
        report("packing")
        context = work / "context.tar"
        _write_context(recipe, root, context)
        labels = recipe.labels(name.rpartition("-")[2], version)
        with context.open("rb") as stream:
            size = context.stat().st_size
            for line in engine.build(stream, size, name, labels, BUILD_SILENCE):
                report(line)
    finally:
        debootstrap.remove(work)
    return Outcome("made", f"{name} ({recipe.package} {version} from Debian {SUITE})")


def _write_context(recipe: Recipe, root: Path, context: Path) -> None:
    """Write what the recipe's Dockerfile is built from: its files and the system's tar."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    own = certificates.missing(certificates.of_host(), certificates.parse(bundle.read_text()))
    extra = [
        (f"usr/local/share/ca-certificates/host-{number:03}.crt", certificates.pem(body).encode())
        for number, body in enumerate(own, start=1)
    ]
    system = context.with_name("rootfs.tar")
    debootstrap.pack(root, extra, system)
    with tarfile.open(context, "w") as tar:
        tar.add(system, arcname=system.name)
        for path in recipe.files():
            tar.add(path, arcname=path.name)
    system.unlink()
