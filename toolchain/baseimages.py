"""The base images: the official ones, else equivalents made from Debian packages.

Needs the Docker SDK, so it can be imported only after `virtualenv.activate`.
"""

from __future__ import annotations

import json
import os
import platform
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient
from docker.errors import ImageNotFound

from toolchain import certificates, debootstrap, engine
from toolchain.engine import EngineError
from toolchain.recipes import SUITE, Recipe, digest
from toolchain.steps import Outcome, Report, ToolchainError

PULL_TIMEOUT = 10.0
"""Seconds without progress after which the registry counts as out of reach."""
BUILD_TIMEOUT = 300.0
"""Seconds without progress after which a build counts as stuck."""
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """A base image that the engine has."""

    recipe: Recipe
    name: str

    @property
    def official(self) -> bool:
        """Whether this is the official image."""
        return self.name == self.recipe.official


def own_name(recipe: Recipe) -> str:
    """Return the name of the equivalent that the recipe makes on this host."""
    return recipe.own_name(digest(recipe, certificates.of_host()))


def look(client: DockerClient, recipe: Recipe) -> Image | None:
    """Return the image to use if the engine has it: the official one before an equivalent."""
    for name in (recipe.official, own_name(recipe)):
        try:
            client.images.get(name)
        except ImageNotFound:
            continue
        return Image(recipe, name)
    return None


def ensure(recipe: Recipe, work: Path, report: Report) -> Outcome:
    """Make sure of one base image; `work` is a folder for temporary files.

    Raises ToolchainError when it can be neither pulled nor made.
    """
    with engine.connection() as client:
        found = look(client, recipe)
        machine = str(client.version()["Arch"])
    if found is not None:
        return Outcome("found", found.name)
    try:
        with engine.connection(PULL_TIMEOUT) as client:
            name, _, tag = recipe.official.rpartition(":")
            for line in progress(client.api.pull(name, tag=tag, stream=True, decode=True)):
                report(line)
        return Outcome("downloaded", recipe.official)
    except EngineError as error:
        report(f"{recipe.official} cannot be pulled: {error}")
    return _make(recipe, machine, work, report)


def record(images: Sequence[Image], path: Path) -> None:
    """Write the names of the images made here into a file, for the program.

    It uses them in place of the defaults of `baseImages`, and not in place of what a stack's
    config names. Without such images there is no file.
    """
    made = {image.recipe.key: image.name for image in images if not image.official}
    text = json.dumps(made, indent=2) + "\n"
    if not made:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_text() != text:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(text)
        partial.replace(path)


def progress(messages: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield a line for each message of the engine. Raises EngineError for one that is an error."""
    for message in messages:
        if "error" in message:
            raise EngineError(str(message["error"]).strip())
        text = str(message.get("stream") or message.get("status") or "").strip()
        if text:
            yield text


def _make(recipe: Recipe, there: str, work: Path, report: Report) -> Outcome:
    here = MACHINES.get(platform.machine(), platform.machine())
    if here != there:
        raise ToolchainError(
            f"{recipe.official} cannot be pulled, and an equivalent made on this {here} machine "
            f"does not run on the engine's {there}. Load the image into the engine (`docker load`)."
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
        with context.open("rb") as stream, engine.connection(BUILD_TIMEOUT) as client:
            messages = client.api.build(
                fileobj=stream,
                custom_context=True,
                tag=name,
                labels=labels,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for line in progress(messages):
                report(line)
    finally:
        debootstrap.remove(work)
    return Outcome("made", f"{name} ({recipe.package} {version} from Debian {SUITE})")


def _write_context(recipe: Recipe, root: Path, context: Path) -> None:
    """Write the build context: the recipe's files and the system's tar."""
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
