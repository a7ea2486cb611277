"""The outputs of a stack: addresses and names of containers."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

import pulumi

from loadbalancer import engine
from loadbalancer.config import host_ports
from loadbalancer.resources.backend import Backend
from loadbalancer.resources.proxy import Proxy


def address(bind: IPv4Address | IPv6Address, port: int) -> str:
    """Return the address at which a published port is reached from this machine.

    One that is published for the machine of another engine alone is named after that machine; the
    preview says which key makes it reachable.
    """
    remote = engine.remote_host()
    if remote and not host_ports.is_loopback(remote) and (bind.is_unspecified or bind.is_loopback):
        host = remote
    else:
        host = "127.0.0.1" if bind.is_unspecified else str(bind)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def url(bind: IPv4Address | IPv6Address, port: pulumi.Input[int]) -> pulumi.Output[str]:
    """Return the address of a port that may be known only after the update."""
    return pulumi.Output.from_input(port).apply(lambda number: address(bind, number))


def direct_urls(
    bind: IPv4Address | IPv6Address, ports: Mapping[str, pulumi.Input[int]]
) -> dict[str, pulumi.Output[str]]:
    """Return the addresses of the apps that have a port of the host."""
    return {app: url(bind, port) for app, port in ports.items()}


def containers(proxy: Proxy, backends: Mapping[str, Backend]) -> pulumi.Output[dict[str, object]]:
    """Return the names of the containers: nginx's, and a list for each app."""
    apps = {app: backend.containers for app, backend in backends.items()}
    return pulumi.Output.all(nginx=proxy.server, apps=pulumi.Output.all(**apps))
