"""Stack: what Pulumi runs this program for, with checked settings and apps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import pulumi
from pulumi.runtime import invoke
from pulumi.runtime.config import get_config_env

from loadbalancer import engine, names
from loadbalancer.config import apps, checks, host_ports, port_checks
from loadbalancer.config.apps import AppFolder
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import Settings
from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.content.files import Source
from loadbalancer.engine import address, container, ports
from loadbalancer.engine.container import Container
from loadbalancer.nginx import shares
from loadbalancer.providers import nginx_files
from loadbalancer.resources import configuration, image
from loadbalancer.state import checkout, identity
from loadbalancer.state.identity import Identity, IdentityError
from loadbalancer.state.project import Project

_ALREADY_SHOWN = 32
"""Exit code by which Pulumi knows that the program has reported its error itself."""


@dataclass(frozen=True)
class Stack:
    """A stack: its identity, its settings, and the folders of the apps it runs."""

    identity: Identity
    settings: Settings
    apps: Mapping[str, AppFolder]

    @property
    def prefix(self) -> str:
        """Start of the names of the stack's networks, volumes and containers."""
        return self.identity.prefix

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of everything that belongs to the stack."""
        return self.identity.labels


def current(root: Path) -> Stack:
    """Read and check the stack that the program runs for.

    Args:
        root: the project's folder.

    Raises:
        SystemExit: after Pulumi has shown whose stack this is, or every problem of the
            configuration and of the host's ports, before anything is declared or changed.
    """
    name = pulumi.get_stack()
    folders = apps.find(root / "apps")
    try:
        address.check()
        own = _identity(root.resolve(), name)
        lost = _lost(own)
        configured = configuration.read(own.project, name, _config(own), folders)
        settings = configured.settings()
        _check_ports(settings, own, configured.fix)
        image.check(_sources(root, [folders[app] for app in settings.weights]))
    except (address.AddressError, checkout.CheckoutError, IdentityError) as error:
        _refuse(str(error))
    except ConfigError as error:
        _refuse("\n".join([f"invalid configuration for stack {name}:", str(error), *lost]))
    except engine.ENGINE_ERRORS as error:
        _refuse(
            f"no Docker engine answers {engine.location()}: {error}. "
            f"Start it: ./lb up --stack {name}"
        )
    for text in lost:
        pulumi.log.warn(text)
    for leaving in configured.leaving(settings):
        pulumi.log.warn(leaving)
    for advice in checks.advice(settings, configured.idle(), _cycle(settings), configured.fix):
        pulumi.log.info(advice)
    for advice in port_checks.remote_advice(settings, engine.remote_host(), configured.fix):
        pulumi.log.warn(advice)
    return Stack(own, settings, {app: folders[app] for app in settings.weights})


def _sources(root: Path, folders: Iterable[AppFolder]) -> Iterable[Source]:
    """List what the stack's images and the running nginx are made of."""
    nginx = root / "nginx"
    return [*(one.source for one in folders), nginx_files.image(nginx), nginx_files.source(nginx)]


def _identity(folder: Path, name: str) -> Identity:
    """Read the stack's identity from its state, and refuse the one of another checkout."""
    checkout.refuse_other(folder)
    project = replace(Project.find(folder), name=pulumi.get_project())
    if project.file_backend is not None:
        found = identity.read(project, name)
    else:
        # A state elsewhere is read by the engine of Pulumi, which has logged in to it.
        qualified = f"{pulumi.get_organization()}/{project.name}/{name}"
        answer = invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": qualified}).value
        resources = [{"urn": urn, **one} for urn, one in (answer.get("outputs") or {}).items()]
        found = identity.of_resources(project, name, resources)
    identity.refuse_copy(found)
    return found


def _lost(own: Identity) -> list[str]:
    """Describe the containers that a stack of this name has left, whose state was lost."""
    left = [
        one.name
        for one in container.find(engine.connect(), with_label=names.NETWORK)
        if own.lost(one.labels) and one.labels[names.NETWORK] not in names.taken_over()
    ]
    if not left:
        return []
    return [
        f"stack {own.stack} of this folder has left {', '.join(left)}, which no Pulumi state has "
        f"any more. To have the new stack take over: ./lb repair --stack {own.stack} "
        "--orphans remove"
    ]


def _check_ports(settings: Settings, own: Identity, fix: FixCommands) -> None:
    def holder(one: Container) -> str | None:
        if own.owns(one.labels) or one.labels.get(names.NETWORK) in names.taken_over():
            return None
        owner = "this stack, whose state was lost"
        if not own.lost(one.labels):
            owner = names.owner(one.labels)
        return f"container {one.name}" + (f" of {owner}" if owner else "")

    def is_local(address: str) -> bool:
        return engine.remote_host() is not None or ports.is_local(address)

    client = engine.connect()
    wanted = [one for each in host_ports.configured(settings).values() for one in each]
    published = ports.by_key(one for one in container.find(client) if own.owns(one.labels))

    def problems() -> list[Problem]:
        return [
            *port_checks.addresses_elsewhere(settings, is_local, fix),
            *port_checks.ports_in_use(
                settings,
                ports.in_use(client, wanted, holder),
                fix,
                lambda port: not ports.in_use(client, [port], holder),
            ),
            *port_checks.ports_held_by_other_containers(settings, published, fix),
        ]

    if problems():
        raise ConfigError(problems())  # once more, now that `fix` knows of every change


def _cycle(settings: Settings) -> int:
    """Count the requests after which every share is exact."""
    replicas = {app: settings.app(app).replicas for app in settings.weights}
    return shares.cycle_length(shares.server_weights(settings.weights, replicas), replicas)


def _refuse(message: str) -> NoReturn:
    """End the program with a message, without the traceback that Pulumi would add."""
    pulumi.log.error(message)
    raise SystemExit(_ALREADY_SHOWN)


def _config(own: Identity) -> dict[str, str]:
    """Read the project's own keys; others belong to Pulumi or to its providers.

    Raises:
        IdentityError: when there are keys of the project's former name, which would not count.
    """
    start, former = f"{own.project.name}:", f"{own.labels[names.PROJECT]}:"
    found: Mapping[str, str] = get_config_env()
    left = sorted(key for key in found if former != start and key.startswith(former))
    if left:
        file = own.project.stack_file(own.stack).name
        raise IdentityError(
            f"the project is named {own.project.name} now, and {file} has keys of its former name: "
            f"{', '.join(left)}. In that file, write {start} in place of {former}"
        )
    return {key.removeprefix(start): text for key, text in found.items() if key.startswith(start)}
