"""Things on the host that carry a stack's labels but that its state does not know."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from docker import DockerClient

from loadbalancer.names import NETWORK, PROJECT, STACK


@dataclass(frozen=True)
class Orphan:
    """A container, network, volume or image that no state knows."""

    kind: str
    name: str
    handle: Any

    def remove(self) -> None:
        """Remove it, with what runs in it."""
        if self.kind == "image":
            self.handle.client.images.remove(self.handle.id, force=True)
        elif self.kind == "network":
            self.handle.remove()
        else:
            self.handle.remove(force=True)


def find(
    client: DockerClient, project: str, stack: str, known: Collection[str]
) -> Iterator[Orphan]:
    """Find the orphans of a stack, in the order in which they can be removed.

    A container whose label names a network that the state does not know belongs to the stack of
    the same name of another checkout, running or not; it is left alone, and so is all it needs.

    Args:
        client: the engine that the stack's containers run in.
        project: the stack's project.
        stack: the stack's name.
        known: IDs and names of everything in the stack's state.
    """
    label: dict[str, str | list[str] | bool] = {
        "label": [f"{PROJECT}={project}", f"{STACK}={stack}"]
    }
    every = client.containers.list(all=True, ignore_removed=True)
    theirs = {container.labels.get(NETWORK) for container in every} - {None, *known}
    for container in client.containers.list(all=True, ignore_removed=True, filters=label):
        if container.id not in known and container.labels.get(NETWORK) not in theirs:
            yield Orphan("container", str(container.name), container)
    for network in client.networks.list(filters=label):
        name = str(network.name)
        if name not in {*known, *theirs} and not _is_used(client, "network", name):
            yield Orphan("network", name, network)
    for volume in client.volumes.list(filters=label):
        name = str(volume.id)
        if name not in known and not _is_used(client, "volume", name):
            yield Orphan("volume", name, volume)
    users = {container.attrs["Image"] for container in every}
    for image in client.images.list(filters=label):
        theirs_too = image.id in users or image.labels.get(NETWORK) in theirs
        if not theirs_too and not set(known) & {str(image.id), *image.tags}:
            yield Orphan("image", ", ".join(image.tags) or str(image.id), image)


def _is_used(client: DockerClient, kind: str, name: str) -> bool:
    """Tell whether a container, running or not, needs a network or a volume."""
    return bool(client.containers.list(all=True, ignore_removed=True, filters={kind: name}))
