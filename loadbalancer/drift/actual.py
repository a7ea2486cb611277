"""The actual resources of a stack on the engine. Reads only, changes nothing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from loadbalancer.drift import orphans, probe
from loadbalancer.drift.orphans import Orphan
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.engine import Client, ImageNotFound, NotFound, container
from loadbalancer.engine.container import Container
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.state.deployment import Desired
from loadbalancer.state.identity import Identity
from loadbalancer.state.project import Project


@dataclass(frozen=True)
class Actual:
    """A stack as the engine has it: containers by ID, IDs of images and networks by name.

    `route` and `files` are what nginx serves by, None without nginx's container. `answers` are
    what clients get at the addresses of containers that run. `namesakes` are containers of others
    in the stack's network that answer to a name of the stack: their names, each with that name and
    the network.
    """

    containers: Mapping[str, Container] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    route: str | None = None
    files: Mapping[str, str] | None = None
    orphans: tuple[Orphan, ...] = ()
    answers: Mapping[Published, Answer] = field(default_factory=dict)
    namesakes: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read(client: Client, project: Project, stack: str, desired: Desired) -> Actual:
    """Look at everything that the state describes, and for orphans.

    Args:
        client: the engine that the stack's containers run in.
        project: the stack's project.
        stack: the stack's name.
        desired: what the stack's state describes.
    """
    inspected = (container.inspect(client, one.id) for one in desired.containers)
    containers = {one.id: one for one in inspected if one}
    running = [
        one
        for one in desired.containers
        if one.id in containers and containers[one.id].status == "running"
    ]
    route, files = _served(client, desired)
    found = tuple(orphans.find(client, Identity(project, stack, desired.recorded), desired.known))
    return Actual(
        containers=containers,
        images=images(client, (one.name for one in desired.images)),
        networks={one["Name"]: one["Id"] for one in client.api.networks()},
        volumes=frozenset(one["Name"] for one in client.api.volumes()["Volumes"] or ()),
        route=route,
        files=files,
        orphans=found,
        answers=probe.ask_all(probe.addresses(running, probe.engine_host(client))),
        namesakes=_namesakes(client, desired, {one.id for one in found}),
    )


def is_elsewhere(client: Client, desired: Desired) -> bool:
    """Tell whether an engine has nothing of a stack, whose state describes containers.

    Most likely the stack was deployed to another engine than the one that is selected now.
    """
    names = {one["Name"] for one in client.api.networks()}
    names |= {one["Name"] for one in client.api.volumes()["Volumes"] or ()}
    if not desired.containers or names & (desired.networks.keys() | desired.volumes):
        return False
    return not any(container.inspect(client, one.id) for one in desired.containers)


def _namesakes(
    client: Client, desired: Desired, orphaned: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Find containers of others to which Docker's name server leads requests for the stack's."""
    taken = {one.name for one in desired.containers}
    for each in desired.containers:
        taken.update(*each.networks.values())
    result = {}
    for one in container.find(client):
        if one.id in desired.known or one.id in orphaned:
            continue
        for network in sorted(one.networks & desired.networks.keys()):
            inspected = container.inspect(client, one.id)
            aliases = inspected.details.aliases if inspected and inspected.details else {}
            if shared := sorted({one.name, *aliases.get(network, ())} & taken):
                result[one.name] = (shared[0], network)
    return result


def images(client: Client, names: Iterable[str]) -> dict[str, str]:
    """Find the IDs of images by their names, or by IDs; those that are missing are left out."""
    found = {}
    for name in names:
        try:
            found[name] = str(client.images.get(name).id)
        except ImageNotFound:
            continue
    return found


def _served(client: Client, desired: Desired) -> tuple[str | None, Mapping[str, str] | None]:
    """Read the route and the files that nginx serves by."""
    served = desired.route or desired.files
    if served is None:
        return None, None
    try:
        nginx = client.containers.get(served.container)
        # A command in the container takes most of the time of `status`, so nginx is asked once.
        route = LiveRoute(nginx).loaded()
        return ("", {}) if route is None else (route, LiveFiles(nginx).digests())
    except NotFound:
        return None, None
