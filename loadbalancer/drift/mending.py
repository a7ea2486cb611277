"""Putting right in place what Pulumi would build again, does not see, or does not wait for."""

from collections.abc import Callable

from docker import DockerClient
from docker.errors import APIError

from loadbalancer.drift import actual
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.state.deployment import Container, Declared

_STEPS: dict[str, tuple[str, Callable[[DockerClient, str], None]]] = {
    "paused": ("letting go on", lambda client, id_: client.api.unpause(id_)),
    "exited": ("starting", lambda client, id_: client.api.start(id_)),
    "created": ("starting", lambda client, id_: client.api.start(id_)),
}
"""What makes a container run again, by its status."""


def retag(client: DockerClient, declared: Declared, report: Callable[[str], None]) -> None:
    """Give images their names back, so that none is built again and no container with it."""
    for image in declared.images:
        if actual.image(client, image.name) != image.id and actual.image(client, image.id):
            report(f"naming image {image.name} again")
            repository, _, tag = image.name.rpartition(":")
            client.api.tag(image.id, repository, tag)


def wake(client: DockerClient, declared: Declared, report: Callable[[str], None]) -> list[str]:
    """Make containers run and reach each other again, and wait for their probes.

    Returns:
        URNs of those that are there but do not get healthy, and can only be replaced.
    """
    there = [one for one in declared.containers if actual.container(client, one.id)]
    woken = set()
    for container in there:
        try:
            if _wake(client, container, report):
                woken.add(container.id)
        except APIError as error:
            report(f"{container.name}: {error.explanation}")

    def undecided(container: Container) -> bool:
        now = actual.container(client, container.id)
        if now is None or now.works:
            return False
        # A probe that met it paused has failed; what Docker says of it until the next is stale.
        return container.id in woken or bool({"starting", "restarting"} & {now.status, now.health})

    def look() -> object:
        return [one.name for one in there if undecided(one)] or None

    # A container is sick when Docker says so, or when it has not got well until then.
    try:
        Wait(timeout=60, interval=0.2).until("the containers' probes", look)
    except WaitTimeoutError as error:
        report(str(error))
    now = {one.urn: actual.container(client, one.id) for one in there}
    return [urn for urn, container in now.items() if container and not container.works]


def _wake(client: DockerClient, container: Container, report: Callable[[str], None]) -> bool:
    """Connect it to its networks and make it run; returns whether it did not run before."""
    now = actual.container(client, container.id)
    if now is None:
        return False
    for network in sorted(container.networks.keys() - now.networks):
        report(f"connecting {container.name} to network {network}")
        aliases = list(container.networks[network]) or None
        client.api.connect_container_to_network(container.id, network, aliases=aliases)
    if now.status not in _STEPS:
        return False
    verb, step = _STEPS[now.status]
    report(f"{verb} {container.name}")
    step(client, container.id)
    return True
