"""Route: the dynamic resource for the upstream block of the running nginx."""

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from loadbalancer.providers.in_nginx import InNginxProvider, container

if TYPE_CHECKING:
    from loadbalancer.engine import Handle

_READY_TIMEOUT = 60.0
"""Seconds that a new container may take to become healthy."""


class RouteProvider(InNginxProvider):
    """Keeps the route of one nginx container equal to the desired one."""

    desired = "config"

    def apply(self, props: dict[str, Any]) -> None:
        """Apply the route once its new servers are ready."""
        from loadbalancer import engine, hints  # noqa: PLC0415
        from loadbalancer.engine.container import find  # noqa: PLC0415
        from loadbalancer.engine.readiness import NotReadyError, wait_until_ready  # noqa: PLC0415
        from loadbalancer.nginx.live_route import LiveRoute  # noqa: PLC0415

        hints.use(props.get("stack", ""))  # which a state of before does not have
        nginx = LiveRoute(container(props["container"]))
        nginx.take_over()  # before the wait, during which another update may begin
        names = {address.partition(":")[0] for address in nginx.newcomers(props["config"])}
        client = engine.connect()
        # A container with a fixed host port is in the route by its alias, under another name. The
        # Docker provider has waited for that one. Containers that do not start count too.
        hosts = [one.name for one in find(client) if one.name in names]
        # Without a server that gets requests there is nothing to protect, nor to wait for.
        settle = float(props["settle"]) if nginx.serves() else 0.0
        try:
            wait_until_ready(client, hosts, timeout=_READY_TIMEOUT, settle=settle)
        except NotReadyError as error:
            now = "the version before keeps serving" if nginx.serves() else "no version serves yet"
            raise NotReadyError(f"the route was not changed, {now}: {error}") from error
        nginx.apply(props["config"])

    def in_force(self, container: "Handle") -> str:
        """Read the text of the route that nginx serves by."""
        from loadbalancer.nginx.live_route import LiveRoute  # noqa: PLC0415

        return LiveRoute(container).in_force()


class Route(Resource, module="loadbalancer", name="Route"):
    """The share of requests that each server gets from the running nginx."""

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
        # For the commands in errors; another name changes nothing.
        inputs["stack"] = pulumi.get_stack()
        super().__init__(RouteProvider(), name, inputs, opts)
