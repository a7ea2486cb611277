"""The stack that Pulumi runs this program for: its identity, checked settings and apps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pulumi
from docker.errors import DockerException
from pulumi.runtime.config import get_config_env

from loadbalancer import engine, names
from loadbalancer.config import apps, checks, load
from loadbalancer.config.apps import AppFolder
from loadbalancer.config.model import Settings
from loadbalancer.config.problems import ConfigError
from loadbalancer.engine import ports

_ALREADY_SHOWN = 32
"""Exit code by which Pulumi knows that a program has told its error itself."""


@dataclass(frozen=True)
class Stack:
    """A stack: its project and name, its settings, and the folders of the apps it runs."""

    project: str
    name: str
    settings: Settings
    apps: Mapping[str, AppFolder]

    @property
    def prefix(self) -> str:
        """Start of the names of the stack's networks, volumes and containers."""
        return f"{names.slug(self.project)}-{names.slug(self.name)}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that belongs to the stack."""
        return names.labels(self.project, self.name)


def current(root: Path) -> Stack:
    """Read and check the stack that the program runs for.

    Args:
        root: the project's folder.

    Raises:
        SystemExit: after every fault of the configuration and the host has been shown by Pulumi,
            before it has declared or changed anything.
    """
    project, name = pulumi.get_project(), pulumi.get_stack()
    folders = apps.find(root / "apps")
    try:
        checked = load.load(_config(project), folders)
        problems = ports.taken_ports(
            engine.connect(), checked, project, name, local=engine.remote_host() is None
        )
        if problems:
            raise ConfigError(problems)
    except ConfigError as error:
        _refuse(f"the configuration of stack {name} cannot be:\n{error}")
    except DockerException as error:
        _refuse(f"no Docker engine answers {engine.whereabouts()}: {error}. Start it: make up")
    for advised in checks.on(checked, folders):
        pulumi.log.info(advised)
    return Stack(project, name, checked, {app: folders[app] for app in checked.weights})


def _refuse(message: str) -> NoReturn:
    """End the program with a message, and with nothing else that Pulumi would add to it."""
    pulumi.log.error(message)
    raise SystemExit(_ALREADY_SHOWN)


def _config(project: str) -> dict[str, str]:
    """Read the project's own keys; others belong to Pulumi or to its providers."""
    start = f"{project}:"
    found: Mapping[str, str] = get_config_env()
    return {key.removeprefix(start): text for key, text in found.items() if key.startswith(start)}
