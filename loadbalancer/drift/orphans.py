"""Orphans: what a stack has on the engine and not in its Pulumi state.

`find` finds what an interrupted update or a person has left in the stack's network: `repair`
removes it. `lost` finds a whole stack whose state was lost; it may still serve, so that it is
removed only when the user says so.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from loadbalancer.engine import Client, NotFound, container
from loadbalancer.names import BACKEND, CHECKOUT, NETWORK, PROJECT
from loadbalancer.state.identity import Identity

_Owned = Callable[[Mapping[str, str], str | None], bool]
"""Whether something is looked for, by its labels, and for a network by its name."""


@dataclass(frozen=True)
class Orphan:
    """A container, network, volume or image that is not in the Pulumi state."""

    kind: str
    name: str
    id: str

    def remove(self, client: Client) -> None:
        """Remove it, with what runs in it; one that has gone meanwhile is removed as well."""
        remove: dict[str, Callable[[], object]] = {
            "container": lambda: client.api.remove_container(self.id, force=True),
            "network": lambda: client.api.remove_network(self.id),
            "volume": lambda: client.api.remove_volume(self.id, force=True),
            "image": lambda: client.api.remove_image(self.id, force=True),
        }
        try:
            remove[self.kind]()
        except NotFound:
            return


def find(client: Client, identity: Identity, known: Collection[str]) -> Iterator[Orphan]:
    """Find the orphans of a stack, in the order in which they can be removed.

    What a network of another stack is the label of belongs to that stack, wherever it is from.

    Args:
        client: the engine that the stack's containers run in.
        identity: the stack's identity.
        known: IDs and names of everything in the stack's state.
    """

    def owned(labels: Mapping[str, str], network: str | None) -> bool:
        # A network that an interrupted update created and could not record has nothing in it.
        return identity.owns(labels) or (network is not None and identity.lost(labels, network))

    return _search(client, owned, known, unused=True)


def lost(client: Client, identity: Identity) -> list[Orphan]:
    """Find what a stack of this name, made in this checkout, has left without a Pulumi state.

    Args:
        client: the engine that the stack's containers run in.
        identity: the identity of the stack.

    Returns:
        What is left, in the order in which it can be removed. Networks alone are orphans: an
        update may have been interrupted before it recorded its network.
    """
    left = list(_search(client, identity.lost, identity.networks, unused=False))
    return left if any(one.kind != "network" for one in left) else []


def lost_of_checkout(client: Client, identity: Identity) -> list[Orphan]:
    """Find what all stacks that were made in this checkout have left without a Pulumi state.

    Args:
        client: the engine that the containers run in.
        identity: the identity of any stack of the checkout.
    """
    own = {key: identity.fresh[key] for key in (CHECKOUT, BACKEND)}
    kept = identity.in_states

    def owned(labels: Mapping[str, str], network: str | None) -> bool:
        return own.items() <= labels.items() and (network or labels.get(NETWORK)) not in kept

    return list(_search(client, owned, kept, unused=False))


def _search(
    client: Client, owned: _Owned, known: Collection[str], *, unused: bool
) -> Iterator[Orphan]:
    """Search the engine for what is owned and not known; of networks only unused ones, if asked.

    A volume that a container needs, and an image that one runs, is left out unless that container
    is found itself.
    """
    every = container.find(client)
    found = {one.id for one in every if owned(one.labels, None) and one.id not in known}
    yield from (Orphan("container", one.name, one.id) for one in every if one.id in found)
    others = [one for one in every if one.id not in found]
    label: dict[str, str | list[str] | bool] = {"label": [PROJECT]}
    for network in client.api.networks(filters=label):
        name = network["Name"]
        used = _is_used(client, "network", name, () if unused else found)
        if name not in known and owned(network["Labels"] or {}, name) and not used:
            yield Orphan("network", name, network["Id"])
    for volume in client.api.volumes(filters=label)["Volumes"] or ():
        name = volume["Name"]
        mine = name not in known and owned(volume["Labels"] or {}, None)
        if mine and not _is_used(client, "volume", name, found):
            yield Orphan("volume", name, name)
    running = {one.image for one in others}
    for image in client.api.images(filters=label):
        id_ = image["Id"]
        tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
        if id_ in running or set(known) & {id_, *tags}:
            continue
        if owned(image["Labels"] or {}, None):
            yield Orphan("image", ", ".join(tags) or id_, id_)


def _is_used(client: Client, kind: str, name: str, besides: Collection[str]) -> bool:
    """Tell whether a container, running or not, needs a network or a volume, besides some."""
    users = client.api.containers(all=True, filters={kind: name})
    return any(one["Id"] not in besides for one in users)
