"""HostPorts: the addresses and ports of the host that a configuration publishes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # `./lb status` needs addresses, and not the model, which takes a fifth of its time to load.
    from loadbalancer.config.model import Settings

ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - compared and published as configured

ADMIN_BIND = IPv4Address("127.0.0.1")
"""Address at which the admin port is published, whatever `bind` is."""
_LAST_PORT = 65535
LISTENING_PORT, ADMIN_PORT = 8080, 9113
"""Ports on which nginx listens in its container, whatever the configured ports of the host are."""


@dataclass(frozen=True, order=True)
class HostPort:
    """An address of the host and a TCP port there."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    def overlaps(self, other: HostPort) -> bool:
        """Tell whether two programs cannot listen on both.

        Docker listens on `::` for IPv6 alone.
        """
        if self.port != other.port:
            return False
        first, second = (ip_address(one.ip or ANY_IPV4) for one in (self, other))
        if first.version != second.version:
            return False
        return first == second or first.is_unspecified or second.is_unspecified


def is_loopback(host: str) -> bool:
    """Tell whether the name or address of a host means the host itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def hides_clients(bind: IPv4Address | IPv6Address) -> bool:
    """Tell whether Docker passes clients on from the address of the network's gateway."""
    return isinstance(bind, IPv6Address) and not bind.is_loopback


def addresses(bind: IPv4Address | IPv6Address) -> list[str]:
    """List the addresses on which a port is published: `::` stands for IPv4 as well."""
    return [ANY_IPV4, ANY_IPV6] if str(bind) == ANY_IPV6 else [str(bind)]


def configured(settings: Settings) -> dict[str, list[HostPort]]:
    """Return what each key publishes, except for ports that are 0."""
    return {
        key: [HostPort(ip, port) for ip in addresses(bind(settings, key))]
        for key, port in deployed(settings).items()
        if port
    }


def deployed(settings: Settings) -> dict[str, int]:
    """Return the ports of the host by their keys, without those of apps that have no weight."""
    ports: dict[str, int | None] = {"port": settings.port, "adminPort": settings.admin_port}
    for app in sorted(settings.apps.keys() & settings.weights.keys()):
        ports[f"apps.{app}.directPort"] = settings.apps[app].direct_port
    return {key: port for key, port in ports.items() if port is not None}


def every(settings: Settings) -> dict[str, int]:
    """Return the ports of the host by their keys, also of apps that are not deployed."""
    ports: dict[str, int] = {"port": settings.port, "adminPort": settings.admin_port}
    direct = {f"apps.{app}.directPort": one.direct_port for app, one in settings.apps.items()}
    ports |= {path: port for path, port in sorted(direct.items()) if port is not None}
    return {path: port for path, port in ports.items() if port}


def another_port(
    settings: Settings, port: int, free: Callable[[int], bool] = lambda _: True
) -> int:
    """Name the next port after one that no key has, and that is free."""
    candidates: tuple[int, ...] = (*range(port + 1, _LAST_PORT + 1), *range(1024, port))
    taken = every(settings).values()
    return next(one for one in candidates if one not in taken and free(one))


def bind(settings: Settings, key: str) -> IPv4Address | IPv6Address:
    """Return the address of the host on which the port of a key is published."""
    return ADMIN_BIND if key == "adminPort" else settings.bind


def container_of(key: str) -> str:
    """Name the container that publishes the port of a key: nginx, or an app."""
    return key.split(".")[1] if "." in key else "nginx"


def held_elsewhere(
    settings: Settings, published: Mapping[str, Collection[HostPort]]
) -> Iterator[tuple[str, str]]:
    """Find configured ports that another container of the stack publishes now.

    An update stops that container only after its successor serves, at its end.

    Args:
        settings: the checked configuration.
        published: what the stack's containers publish now, by the keys that they are named by.

    Yields:
        The key, and the key of the port that it is published as now.
    """
    for key, wanted in configured(settings).items():
        for other, held in published.items():
            if container_of(key) != container_of(other) and any(
                one.overlaps(two) for one in wanted for two in held
            ):
                yield key, other
