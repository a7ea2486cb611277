"""Route: the dynamic resource that puts the upstream block into the running nginx."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from loadbalancer.nginx import upstream
from loadbalancer.providers.in_nginx import InNginxProvider, container

if TYPE_CHECKING:
    from docker.models.containers import Container

    from loadbalancer.resources.backend import Backend

_READY_TIMEOUT = 60.0
"""Seconds that a new container may take to get healthy."""


class RouteProvider(InNginxProvider):
    """Keeps the route of one nginx container equal to the declared one."""

    declared = "config"

    def apply(self, props: dict[str, Any]) -> None:
        """Put the route in once the servers that are new in it are ready."""
        from loadbalancer import engine  # noqa: PLC0415
        from loadbalancer.engine.readiness import wait_until_ready  # noqa: PLC0415
        from loadbalancer.nginx.live_route import RunningRoute  # noqa: PLC0415

        nginx = RunningRoute(container(props["container"]))
        names = {address.partition(":")[0] for address in nginx.newcomers(props["config"])}
        client = engine.connect()
        # Only a container that has its name in the network by an alias goes by another: the
        # provider has waited for it, since it was replaced before this. One that does not start
        # counts too.
        every = client.containers.list(all=True, ignore_removed=True)
        hosts = [str(one.name) for one in every if one.name in names]
        # Where nobody serves yet there is nothing to protect, and nothing to wait for.
        settle = float(props["settle"]) if nginx.serves() else 0.0
        wait_until_ready(client, hosts, timeout=_READY_TIMEOUT, settle=settle)
        nginx.apply(props["config"])

    def in_force(self, container: "Container") -> str:
        """Read the text of the route that nginx serves by."""
        from loadbalancer.nginx.live_route import RunningRoute  # noqa: PLC0415

        return RunningRoute(container).in_force()


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
            config: text of the route, as loadbalancer.nginx.upstream renders it.
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
