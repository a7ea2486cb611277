"""HostPorts: the ports of the host on which a stack answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pulumi

from loadbalancer import engine, names
from loadbalancer.config.model import ADMIN_BIND
from loadbalancer.engine import container
from loadbalancer.engine.container import Container
from loadbalancer.providers.port import Port
from loadbalancer.resources.stack import Stack


@dataclass(frozen=True)
class HostPorts:
    """The ports of the host: the public one, the admin port, and those of single apps.

    `running` is the container of nginx that publishes ports now, if any.
    """

    public: pulumi.Input[int]
    admin: pulumi.Input[int]
    direct: Mapping[str, pulumi.Input[int]]
    running: Container | None = None


def declare(stack: Stack) -> HostPorts:
    """Take the configured ports; for each that is 0, declare one that is free and is kept."""
    settings = stack.settings
    direct = {app: settings.app(app).direct_port for app in stack.apps}
    return HostPorts(
        public=_port("port", settings.port, settings.bind),
        admin=_port("adminPort", settings.admin_port, ADMIN_BIND),
        direct={
            app: _port(f"apps.{app}.directPort", number, settings.bind)
            for app, number in direct.items()
            if number is not None
        },
        running=_running_nginx(stack),
    )


def _running_nginx(stack: Stack) -> Container | None:
    own = (one for one in container.find(engine.connect()) if stack.identity.owns(one.labels))
    return next((one for one in own if one.ports and names.APP not in one.labels), None)


def _port(key: str, configured: int, bind: IPv4Address | IPv6Address) -> pulumi.Input[int]:
    return configured or Port(key, str(bind)).port
