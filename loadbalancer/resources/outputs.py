"""What a stack tells about itself: the outputs that tests and people read."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

import pulumi

from loadbalancer import engine
from loadbalancer.resources.backend import Backend
from loadbalancer.resources.proxy import Proxy


def url(bind: IPv4Address | IPv6Address, port: pulumi.Input[int]) -> pulumi.Output[str]:
    """Address under which a published port is reached from here."""
    host = str(bind)
    if bind.is_unspecified or (bind.is_loopback and engine.remote_host()):
        host = engine.remote_host() or "127.0.0.1"
    start = f"http://[{host}]:" if ":" in host else f"http://{host}:"
    return pulumi.Output.from_input(port).apply(lambda number: f"{start}{number}")


def direct_urls(
    bind: IPv4Address | IPv6Address, ports: Mapping[str, pulumi.Input[int]]
) -> dict[str, pulumi.Output[str]]:
    """Addresses of the apps that have a port of the host of their own."""
    return {app: url(bind, port) for app, port in ports.items()}


def containers(proxy: Proxy, backends: Mapping[str, Backend]) -> pulumi.Output[dict[str, object]]:
    """Names of the containers: nginx's, and a list for each app."""
    apps = {app: backend.containers for app, backend in backends.items()}
    return pulumi.Output.all(nginx=proxy.server, apps=pulumi.Output.all(**apps))
