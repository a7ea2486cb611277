"""Identity: what on an engine belongs to a stack, and what to another stack or to none any more.

Everything that a stack creates carries the label of its network, whose name no other network ever
has. So a stack owns what carries a network of its Pulumi state. Labels with names, of the stack,
its project and its checkout, only describe: all of them can be renamed.
"""

import gzip
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadbalancer import names
from loadbalancer.names import BACKEND, CHECKOUT, NETWORK, PROJECT, STACK
from loadbalancer.state import deployment
from loadbalancer.state.deployment import RecordedNetwork, recorded_networks
from loadbalancer.state.project import EMBEDDED, Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError


class IdentityError(RuntimeError):
    """Whose stack this is cannot be told, or it is another checkout's; the message says more."""


@dataclass(frozen=True)
class Identity:
    """What a stack's resources are called and labelled, and which networks are its own.

    Names and labels are those with which the stack's network was created. Resources created later
    get the same ones, so that a renamed stack, project or folder replaces nothing.
    """

    project: Project
    stack: str
    own: tuple[RecordedNetwork, ...] = ()
    """The networks in the stack's state, the present one first."""

    @cached_property
    def fresh(self) -> dict[str, str]:
        """Labels of a stack of this name that is created now."""
        project, stack = self.project.qualified(self.stack)
        return names.labels(
            project, stack, checkout=checkout(self.project), backend=backend(self.project)
        )

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of everything in the stack, without the one of its network."""
        recorded = [one.labels for one in self.own if STACK in one.labels]
        return dict(recorded[0]) if recorded else self.fresh

    @property
    def prefix(self) -> str:
        """Start of the names of the stack's networks, volumes and containers."""
        if self.own:
            return self.own[0].resource
        project, stack = self.project.qualified(self.stack)
        return f"{names.slug(project)}-{names.slug(stack)}"

    @cached_property
    def networks(self) -> frozenset[str]:
        """Names of the networks in the stack's state."""
        return frozenset(one.name for one in self.own)

    @cached_property
    def in_states(self) -> frozenset[str]:
        """Names of the networks in the state of any stack that can be read from here."""
        return self.networks | networks_in_states(self.project)

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Tell whether something with these labels belongs to the stack."""
        same = all(labels.get(key) == self.labels.get(key) for key in (PROJECT, STACK))
        return same and labels.get(NETWORK) in self.networks

    def lost(self, labels: Mapping[str, str], network: str | None = None) -> bool:
        """Tell whether something was made by this stack here, and is in no Pulumi state any more.

        Args:
            labels: its labels.
            network: its network's name, where no label says it.
        """
        if not self.fresh.items() <= labels.items():
            return False
        return (network or labels.get(NETWORK)) not in self.in_states


def read(project: Project, stack: str) -> Identity:
    """Read the identity of a stack from its state; a stack that does not exist has a fresh one.

    Raises:
        PulumiError: when Pulumi cannot export it.
    """
    try:
        loaded = deployment.load(project, stack)
    except StackNotFoundError:
        return Identity(project, stack)
    return of_resources(project, stack, loaded.get("resources") or [])


def of_resources(project: Project, stack: str, resources: Iterable[Mapping[str, Any]]) -> Identity:
    """Find the identity of a stack in the resources of its state, each with its URN."""
    return Identity(project, stack, tuple(recorded_networks(resources)))


def checkout(project: Project) -> str:
    """Describe the folder of a checkout, and the host that it is on."""
    return f"{socket.gethostname()}:{project.folder.resolve()}"


def backend(project: Project) -> str:
    """Describe where the states of a project are, without options and secrets of the address."""
    if project.embedded:
        return EMBEDDED
    if project.file_backend is not None:
        return project.file_backend.parent.resolve().as_uri()
    url = urlsplit(project.backend)
    return f"{url.scheme}://{url.hostname or ''}{url.path}"


def networks_in_states(project: Project) -> frozenset[str]:
    """Name the networks of all stacks in the backend, and in the embedded one where it is another.

    Raises:
        PulumiError: when Pulumi cannot list or export the stacks of a backend without files.
    """
    folders = {project.folder.resolve() / EMBEDDED / ".pulumi"}
    found: set[str] = set()
    if project.file_backend is not None:
        folders.add(project.file_backend.resolve())
    else:
        pulumi = Pulumi(project.folder)
        for one in json.loads(pulumi.run("stack", "ls", "--json")):
            exported = json.loads(pulumi.run("stack", "export", stack=one["name"]))
            resources = (exported.get("deployment") or {}).get("resources") or []
            found |= {network.name for network in recorded_networks(resources)}
    for folder in folders:
        found |= _networks_in(folder)
    return frozenset(found)


def refuse_copy(identity: Identity) -> None:
    """Refuse a state that was copied from another checkout, together with its folder.

    Both states name the same containers. A folder that was moved is none: nothing is left there.

    Raises:
        IdentityError: when the other checkout still has the stack.
    """
    project, recorded = identity.project, identity.labels.get(CHECKOUT, "")
    host, _, folder = recorded.partition(":")
    own = recorded == checkout(project) or not project.embedded
    if own or identity.labels.get(BACKEND) != EMBEDDED or host != socket.gethostname():
        return
    if identity.networks & _networks_in(Path(folder) / EMBEDDED / ".pulumi"):
        raise IdentityError(
            f"{project.folder / EMBEDDED} is a copy of {Path(folder) / EMBEDDED}: the containers "
            f"of stack {identity.stack} are those of {folder}. Work there, or give this folder a "
            f"state of its own: rm -r {project.folder / EMBEDDED}"
        )


def _networks_in(folder: Path) -> set[str]:
    """Name the networks in all states of a file backend."""
    files = [
        path
        for path in (folder / "stacks").rglob("*")
        if path.name.endswith((".json", ".json.gz")) and path.is_file()
    ]
    found: set[str] = set()
    for path in files:
        try:
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
            latest = json.loads(text).get("checkpoint", {}).get("latest") or {}
        except FileNotFoundError:
            continue  # the stack is removed or renamed just now
        except (OSError, ValueError) as error:
            raise IdentityError(f"{path} is no valid state of a stack: {error}") from error
        found |= {network.name for network in recorded_networks(latest.get("resources") or [])}
    return found
