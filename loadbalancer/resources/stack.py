"""Stack: what Pulumi runs this program for, with checked settings and apps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pulumi
from pulumi.runtime.config import get_config_env

from loadbalancer import engine, names
from loadbalancer.config import apps, checks, load
from loadbalancer.config.apps import AppFolder
from loadbalancer.config.model import Settings
from loadbalancer.config.problems import ConfigError
from loadbalancer.engine import ports
from loadbalancer.nginx import shares

_ALREADY_SHOWN = 32
"""Exit code by which Pulumi knows that the program has reported its error itself."""


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
        SystemExit: after Pulumi has shown every problem of the configuration and of the host's
            ports, before anything is declared or changed.
    """
    project, name = pulumi.get_project(), pulumi.get_stack()
    folders = apps.find(root / "apps")
    try:
        settings = load.load(_config(project), folders)
        _check_ports(settings, names.labels(project, name))
    except ConfigError as error:
        _refuse(f"invalid configuration for stack {name}:\n{error}")
    except engine.ENGINE_ERRORS as error:
        _refuse(
            f"no Docker engine answers {engine.location()}: {error}. "
            f"Start it: ./lb up --stack {name}"
        )
    for advice in checks.advice(settings, folders, _cycle(settings)):
        pulumi.log.info(advice)
    return Stack(project, name, settings, {app: folders[app] for app in settings.weights})


def _check_ports(settings: Settings, labels: Mapping[str, str]) -> None:
    used = ports.in_use(engine.connect(), checks.host_addresses(settings), labels)
    problems = list(checks.ports_in_use(settings, used))
    if problems:
        raise ConfigError(problems)


def _cycle(settings: Settings) -> int:
    """Count the requests after which every share is exact."""
    replicas = {app: settings.app(app).replicas for app in settings.weights}
    return shares.cycle_length(shares.server_weights(settings.weights, replicas), replicas)


def _refuse(message: str) -> NoReturn:
    """End the program with a message, without the traceback that Pulumi would add."""
    pulumi.log.error(message)
    raise SystemExit(_ALREADY_SHOWN)


def _config(project: str) -> dict[str, str]:
    """Read the project's own keys; others belong to Pulumi or to its providers."""
    start = f"{project}:"
    found: Mapping[str, str] = get_config_env()
    return {key.removeprefix(start): text for key, text in found.items() if key.startswith(start)}
