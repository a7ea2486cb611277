"""HostPorts: the ports of the host on which a stack answers."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pulumi

from loadbalancer import engine, names
from loadbalancer.config import host_ports
from loadbalancer.config.host_ports import ADMIN_BIND, HostPort
from loadbalancer.config.model import Settings
from loadbalancer.engine import container, ports
from loadbalancer.engine.container import Container
from loadbalancer.providers.port import RANGE, Port
from loadbalancer.resources.stack import Stack


@dataclass(frozen=True)
class HostPorts:
    """The ports of the host: the public one, the admin port, and those of single apps.

    `running` is the container of nginx that publishes ports now, if any; `published` names the
    containers (nginx, or apps) that publish exactly what is configured, in whatever order.
    """

    public: pulumi.Input[int]
    admin: pulumi.Input[int]
    direct: Mapping[str, pulumi.Input[int]]
    running: Container | None = None
    published: Collection[str] = ()


def declare(stack: Stack) -> HostPorts:
    """Take the configured ports; for each that is 0, declare one that is free and is kept."""
    settings = stack.settings
    own = [one for one in container.find(engine.connect()) if stack.identity.owns(one.labels)]
    direct = {app: settings.app(app).direct_port for app in stack.apps}
    return HostPorts(
        public=_port("port", settings.port, settings.bind),
        admin=_port("adminPort", settings.admin_port, ADMIN_BIND),
        direct={
            app: _port(f"apps.{app}.directPort", number, settings.bind)
            for app, number in direct.items()
            if number is not None
        },
        running=next((one for one in own if one.ports and names.APP not in one.labels), None),
        published=frozenset(_published(settings, own)),
    )


def _published(settings: Settings, own: Collection[Container]) -> Iterator[str]:
    """Name the containers that publish exactly the configured ports, on more than one address.

    Of a port that is 0, the number is the one that was found; a fixed one is hardly ever in the
    range of those.
    """
    if len(host_ports.addresses(settings.bind)) == 1:
        return  # there is no order that could change
    for name in {host_ports.container_of(key) for key in host_ports.deployed(settings)}:
        found = [one for one in own if one.labels.get(names.APP, "nginx") == name]
        # With a second one, of an interrupted update, it is not certain which is in the state.
        if len(found) == 1 and _is_as_configured(settings, ports.by_key(found), name):
            yield name


def _is_as_configured(
    settings: Settings, now: Mapping[str, Collection[HostPort]], name: str
) -> bool:
    for key, number in host_ports.deployed(settings).items():
        if host_ports.container_of(key) != name:
            continue
        for one in now.get(key, ()):
            if one.port != number and (number or one.port not in RANGE):
                return False
        addresses = host_ports.addresses(host_ports.bind(settings, key))
        if {one.ip for one in now.get(key, ())} != set(addresses):
            return False
    return True


def _port(key: str, configured: int, bind: IPv4Address | IPv6Address) -> pulumi.Input[int]:
    return configured or Port(key, str(bind)).port
