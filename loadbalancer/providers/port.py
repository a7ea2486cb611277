"""Port: the dynamic resource that finds a free port of the host once, and keeps it."""

import random
from ipaddress import ip_address
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

RANGE = range(20_000, 32_000)
"""Where to look: below the range from which systems take ports for the connections of clients. One
of those could use the port before a container has it, or while its container is replaced."""


class PortProvider(ResourceProvider):
    """Finds a port at creation; the state keeps it, and it never changes."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Find a port that no program listens on."""
        port = _free(props["bind"])
        return CreateResult(id_=str(port), outs={**props, "port": port})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Keep the port."""
        return DiffResult(changes=False)


def _free(bind: str) -> int:
    from loadbalancer import engine  # noqa: PLC0415
    from loadbalancer.config import host_ports  # noqa: PLC0415
    from loadbalancer.engine.ports import in_use  # noqa: PLC0415

    client, addresses = engine.connect(), host_ports.addresses(ip_address(bind))

    def is_free(port: int) -> bool:
        wanted = [host_ports.HostPort(ip, port) for ip in addresses]
        return not in_use(client, wanted, lambda one: one.name)

    candidates = random.sample(RANGE, len(RANGE))
    return next(port for port in candidates if is_free(port))


class Port(Resource, module="loadbalancer", name="Port"):
    """A port of the host that was free when the stack first came up."""

    port: pulumi.Output[int]

    def __init__(self, name: str, bind: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a port.

        Args:
            name: the resource's name.
            bind: address of the host that the port is to be free on.
            opts: Pulumi's options.
        """
        super().__init__(PortProvider(), name, {"bind": bind, "port": None}, opts)
