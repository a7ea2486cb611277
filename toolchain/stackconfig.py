"""The names of the base images in a stack's config."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolchain.baseimages import Image
from toolchain.recipes import OWN
from toolchain.run import run
from toolchain.steps import ToolchainError

KEY = "baseImages"


def changes(configured: Mapping[str, str], images: Sequence[Image]) -> dict[str, str | None]:
    """Return what to change under `baseImages`: a name to set, or None to remove the key.

    An image made here is set; the name of one that is not used any more is removed. A name that
    the user has set stays.
    """
    changed: dict[str, str | None] = {}
    for image in images:
        key = image.recipe.key
        current = configured.get(key)
        if current is not None and not current.startswith(OWN):
            continue
        name = None if image.official else image.name
        if name != current:
            changed[key] = name
    return changed


def read(stack: str, project: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return the base images that a stack's config names, by key."""
    done = subprocess.run(
        ["pulumi", "config", "--json", "--stack", stack, "--non-interactive"],
        cwd=project,
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ToolchainError(
            f"reading the config of stack {stack} failed: {done.stderr.strip()}\n"
            f"If there is no such stack, create it: ./lb up --stack {stack}"
        )
    return base_images(done.stdout)


def base_images(printed: str) -> dict[str, str]:
    """Return the base images in the output of `pulumi config --json`."""
    for name, entry in json.loads(printed).items():
        if name.rpartition(":")[2] == KEY:
            value = entry.get("objectValue")
            return {key: str(image) for key, image in value.items()} if value else {}
    return {}


def without_defaults(configured: Mapping[str, str], text: str) -> dict[str, str]:
    """Leave out the project's defaults: names that the text of the stack's file does not have.

    `pulumi config` prints defaults and the stack's own values alike.
    """
    return {key: name for key, name in configured.items() if name in text}


def write(stack: str, project: Path, env: Mapping[str, str], images: Sequence[Image]) -> list[str]:
    """Bring a stack's config in line with the images, and return a line for each change."""
    path = project / f"Pulumi.{stack}.yaml"
    text = path.read_text() if path.is_file() else ""
    if OWN not in text and all(image.official for image in images):
        return []  # the defaults apply; no need to run the CLI
    done = []
    configured = without_defaults(read(stack, project, env), text)
    for key, name in changes(configured, images).items():
        where = ["--path", f"{KEY}.{key}"]
        stack_option = ["--stack", stack, "--non-interactive"]
        if name is None:
            run(["pulumi", "config", "rm", *where, *stack_option], env=env, cwd=project)
            done.append(f"{KEY}.{key} removed from stack {stack}")
        else:
            run(["pulumi", "config", "set", *where, name, *stack_option], env=env, cwd=project)
            done.append(f"{KEY}.{key} of stack {stack} is {name}")
    return done
