"""Configuration: what is set for the stack, told from the defaults, and what is deployed now."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadbalancer.config import given, load
from loadbalancer.config.deployed import Deployed
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import Settings
from loadbalancer.state import deployment
from loadbalancer.state.config_file import ConfigFile
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import StackNotFoundError

BASE_IMAGES = Path(".state", "base-images.json")
"""File of the toolchain with the base images that this machine has in place of the official ones,
by the keys of `baseImages`."""


@dataclass(frozen=True)
class Configuration:
    """The values that are set, the commands that change them, and what the stack runs with."""

    values: Mapping[str, object]
    fix: FixCommands
    deployed: Deployed
    base_images: Mapping[str, str]
    apps: Collection[str]

    def settings(self) -> Settings:
        """Check the values.

        Raises:
            ConfigError: with every fault that was found.
        """
        return load.load(self.values, self.apps, fix=self.fix, base_images=self.base_images)

    def idle(self) -> Collection[str]:
        """Return the apps that are not deployed now, and the ones that stay."""
        return [app for app in self.apps if app not in self.deployed.weights]

    def leaving(self, settings: Settings) -> Iterator[str]:
        """Say which apps the update removes."""
        return self.deployed.leaving(settings, self.apps, self.fix)


def read(
    project: Project, stack: str, texts: Mapping[str, str], apps: Collection[str]
) -> Configuration:
    """Read the configuration of a stack.

    Args:
        project: the project.
        stack: name of the stack.
        texts: what Pulumi hands to the program, without the project's name.
        apps: names of the folders under apps/ that can be built.
    """
    start = f"{project.name}:"
    file = {
        key.removeprefix(start): value
        for key, value in _file(project, stack).items()
        if key.startswith(start)
    }
    values = given.from_program(texts, file)
    deployed = _deployed(project, stack)
    fix = FixCommands(
        values, stack=stack, deployed=deployed.values(apps), secrets=given.secrets(file)
    )
    return Configuration(values, fix, deployed, _base_images(project.folder), apps)


def _file(project: Project, stack: str) -> dict[str, Any]:
    try:
        return ConfigFile(project, stack).values()
    except (OSError, ValueError):
        return {}  # Pulumi has read its configuration from another file


def _deployed(project: Project, stack: str) -> Deployed:
    """Read what is deployed from a file backend; from another one it would take too long."""
    if project.file_backend is None:
        return Deployed()
    try:
        return Deployed.from_outputs(deployment.outputs(project, stack))
    except (StackNotFoundError, OSError, ValueError, LookupError):
        return Deployed()


def _base_images(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / BASE_IMAGES).read_text())
    except (OSError, ValueError):
        return {}
    return found
