"""Route: the dynamic resource that puts the upstream block into the running nginx."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from loadbalancer import upstream

if TYPE_CHECKING:
    from loadbalancer.backend import Backend
    from loadbalancer.running_route import RunningRoute

_READY_TIMEOUT = 60.0
"""Seconds that a new container may take to get healthy."""


class RouteProvider(ResourceProvider):
    """Keeps the route of one nginx container equal to the declared one.

    Pulumi stores only this class's name in its state, since the module can be imported; whatever
    needs the Docker engine is imported when it is used, since Pulumi also imports this module to
    find out that nothing has changed.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Apply the route; it is known by the container that it is in."""
        _apply(props)
        return CreateResult(id_=props["container"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is really in force; no container or no route in it means no route."""
        from docker.errors import NotFound  # noqa: PLC0415

        try:
            nginx = _nginx(id_)
        except NotFound:
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs={**props, "config": nginx.in_force()})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another text changes the route in place; another container needs it put in again."""
        replaces = ["container"] if olds.get("container") != news["container"] else []
        changes = any(olds.get(key) != news[key] for key in ("container", "config"))
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Apply the new text."""
        _apply(news)
        return UpdateResult(outs=news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave nginx as it is: it goes with its container, or the next route replaces this one."""


def _apply(props: Mapping[str, Any]) -> None:
    """Put the route in once the servers that are new in it are ready."""
    from loadbalancer import engine  # noqa: PLC0415
    from loadbalancer.readiness import wait_until_ready  # noqa: PLC0415

    nginx = _nginx(props["container"])
    names = {address.partition(":")[0] for address in nginx.newcomers(props["config"])}
    client = engine.connect()
    # Only a container that has its name in the network by an alias goes by another: the provider
    # has waited for it, since it was replaced before this. One that does not start counts too.
    every = client.containers.list(all=True, ignore_removed=True)
    hosts = [str(one.name) for one in every if one.name in names]
    # Where nobody serves yet there is nothing to protect, and nothing to wait for.
    settle = float(props["settle"]) if nginx.serves() else 0.0
    wait_until_ready(client, hosts, timeout=_READY_TIMEOUT, settle=settle)
    nginx.apply(props["config"])


def _nginx(container: str) -> "RunningRoute":
    from loadbalancer import engine  # noqa: PLC0415
    from loadbalancer.running_route import RunningRoute  # noqa: PLC0415

    return RunningRoute(engine.connect().containers.get(container))


class Route(Resource, module="loadbalancer", name="Route"):
    """The share of requests that each server gets, as it is in force in the running nginx."""

    container: pulumi.Output[str]
    config: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        container: pulumi.Input[str],
        config: pulumi.Input[str],
        settle: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a route.

        Args:
            name: the resource's name.
            container: ID of nginx's container.
            config: text of the route, as loadbalancer.upstream renders it.
            settle: seconds that a new server must stay healthy before it gets requests.
            opts: Pulumi's options.
        """
        inputs = {"container": container, "config": config, "settle": settle}
        super().__init__(RouteProvider(), name, inputs, opts)


def route_config(
    weights: Mapping[str, int], ports: Mapping[str, int], backends: Mapping[str, "Backend"]
) -> pulumi.Output[str]:
    """Write the route to the backends' servers, once their names are known.

    Args:
        weights: weight of each app.
        ports: port on which each app listens.
        backends: the backend of each app.
    """

    def render(servers: Mapping[str, list[str]]) -> str:
        placed = {app: [(host, ports[app]) for host in names] for app, names in servers.items()}
        return upstream.split(weights, placed)

    return pulumi.Output.all(**{app: one.servers for app, one in backends.items()}).apply(render)
