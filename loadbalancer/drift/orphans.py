"""Orphans: things on the host with a stack's labels that are not in its Pulumi state."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from loadbalancer import names
from loadbalancer.engine import Client, container
from loadbalancer.names import NETWORK


@dataclass(frozen=True)
class Orphan:
    """A container, network, volume or image that is not in the Pulumi state."""

    kind: str
    name: str
    id: str

    def remove(self, client: Client) -> None:
        """Remove it, with what runs in it."""
        remove: dict[str, Callable[[], object]] = {
            "container": lambda: client.api.remove_container(self.id, force=True),
            "network": lambda: client.api.remove_network(self.id),
            "volume": lambda: client.api.remove_volume(self.id, force=True),
            "image": lambda: client.api.remove_image(self.id, force=True),
        }
        remove[self.kind]()


def find(client: Client, project: str, stack: str, known: Collection[str]) -> Iterator[Orphan]:
    """Find the orphans of a stack, in the order in which they can be removed.

    A container whose label names a network that is not in the state belongs to the stack of the
    same name in another checkout, running or not. It is left alone, and so is all that it needs.

    Args:
        client: the engine that the stack's containers run in.
        project: the stack's project.
        stack: the stack's name.
        known: IDs and names of everything in the stack's state.
    """
    labels = names.labels(project, stack)
    label: dict[str, str | list[str] | bool] = {
        "label": [f"{key}={value}" for key, value in labels.items()]
    }
    every = container.find(client)
    foreign = {one.labels.get(NETWORK) for one in every} - {None, *known}
    for one in every:
        own = labels.items() <= one.labels.items()
        if own and one.id not in known and one.labels.get(NETWORK) not in foreign:
            yield Orphan("container", one.name, one.id)
    for network in client.api.networks(filters=label):
        name = network["Name"]
        if name not in {*known, *foreign} and not _is_used(client, "network", name):
            yield Orphan("network", name, network["Id"])
    for volume in client.api.volumes(filters=label)["Volumes"] or ():
        name = volume["Name"]
        if name not in known and not _is_used(client, "volume", name):
            yield Orphan("volume", name, name)
    used = {one.image for one in every}
    for image in client.api.images(filters=label):
        id_ = image["Id"]
        tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
        of_others = id_ in used or (image["Labels"] or {}).get(NETWORK) in foreign
        if not of_others and not set(known) & {id_, *tags}:
            yield Orphan("image", ", ".join(tags) or id_, id_)


def _is_used(client: Client, kind: str, name: str) -> bool:
    """Tell whether a container, running or not, needs a network or a volume."""
    return bool(client.api.containers(all=True, filters={kind: name}))
