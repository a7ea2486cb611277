"""Ports of the host: published by containers, or used by another program. Reads only."""

import errno
import socket
from collections.abc import Mapping

from loadbalancer import engine
from loadbalancer.engine import container
from loadbalancer.engine.client import Client


def in_use(client: Client, addresses: Mapping[int, str], own: Mapping[str, str]) -> dict[int, str]:
    """Find which ports something else than a stack's own containers uses.

    Other programs are only found where the engine publishes ports on this machine.

    Args:
        client: the engine that the containers run in.
        addresses: address of the host for each port.
        own: labels of the stack, whose containers' ports are not reported; empty for no stack.

    Returns:
        What uses a port, such as `container web` or `another program`, by port.
    """
    used: dict[int, str] = {}
    published_by_own: set[int] = set()
    for one in container.find(client):
        ports = {port.external for port in one.ports}
        if own and own.items() <= one.labels.items():
            published_by_own |= ports
        else:
            used.update(dict.fromkeys(ports, f"container {one.name}"))
    if engine.remote_host() is None:
        for port in addresses.keys() - published_by_own - used.keys():
            if is_bound(addresses[port], port):
                used[port] = "another program"
    return {port: used[port] for port in addresses if port in used and port not in published_by_own}


def is_bound(address: str, port: int) -> bool:
    """Tell whether a program of this machine listens on a port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Docker does it: connections that have ended do not hold a port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
