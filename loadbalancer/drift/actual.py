"""What there really is of a stack on the engine; only looks, never changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from docker import DockerClient
from docker.errors import ImageNotFound, NotFound
from docker.models import containers as models

from loadbalancer.drift import orphans
from loadbalancer.drift.orphans import Orphan
from loadbalancer.nginx.live_files import RunningFiles
from loadbalancer.nginx.live_route import RunningRoute
from loadbalancer.state.deployment import Declared, Files, Port, Route

T = TypeVar("T")


@dataclass(frozen=True)
class Container:
    """A container; `status` and `health` in Docker's words, None where nothing probes it."""

    status: str
    health: str | None
    image: str
    restarts: int = 0
    networks: frozenset[str] = frozenset()
    ports: frozenset[Port] = frozenset()

    @property
    def works(self) -> bool:
        """Whether it runs and its probe says that it is well."""
        return self.status == "running" and self.health in {None, "healthy"}


@dataclass(frozen=True)
class Real:
    """A stack as the engine has it: containers by ID, image IDs by name, and so on.

    `route` and `files` are what nginx serves by; None where its container is not there.
    """

    containers: Mapping[str, Container] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    route: str | None = None
    files: Mapping[str, str] | None = None
    orphans: tuple[Orphan, ...] = ()


def read(client: DockerClient, project: str, stack: str, declared: Declared) -> Real:
    """Look at everything that a state declares, and for what carries its labels beyond that."""
    containers = {one.id: container(client, one.id) for one in declared.containers}
    images = {one.name: image(client, one.name) for one in declared.images}
    return Real(
        containers={id_: found for id_, found in containers.items() if found},
        images={name: found for name, found in images.items() if found},
        networks=frozenset(str(one.name) for one in client.networks.list()),
        volumes=frozenset(str(one.id) for one in client.volumes.list()),
        route=_in_force(client, declared.route, lambda one: RunningRoute(one).in_force()),
        files=_in_force(client, declared.files, lambda one: RunningFiles(one).in_force()),
        orphans=tuple(orphans.find(client, project, stack, declared.known)),
    )


def container(client: DockerClient, id_: str) -> Container | None:
    """Look at a container; None where there is none of that ID."""
    try:
        attributes = client.api.inspect_container(id_)
    except NotFound:
        return None
    state, network = attributes["State"], attributes["NetworkSettings"]
    return Container(
        status=state["Status"],
        health=state.get("Health", {}).get("Status"),
        image=attributes["Image"],
        restarts=attributes["RestartCount"],
        networks=frozenset(network["Networks"]),
        ports=_ports(network["Ports"] or {}),
    )


def image(client: DockerClient, name: str) -> str | None:
    """Find the ID that an image's name leads to."""
    try:
        return str(client.images.get(name).id)
    except ImageNotFound:
        return None


def _ports(published: Mapping[str, list[dict[str, Any]] | None]) -> frozenset[Port]:
    found = set()
    for key, bindings in published.items():
        internal, _, protocol = key.partition("/")
        for one in bindings or []:
            found.add(Port(one["HostIp"], int(one["HostPort"]), int(internal), protocol))
    return frozenset(found)


def _in_force(
    client: DockerClient, declared: Route | Files | None, look: Callable[[models.Container], T]
) -> T | None:
    """Look what nginx serves by; None where nothing is declared, or its container is not there."""
    if declared is None:
        return None
    try:
        return look(client.containers.get(declared.container))
    except NotFound:
        return None
