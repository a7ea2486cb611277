"""Ports of the host: published by containers, or used by another program. Reads only."""

import errno
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from loadbalancer import engine, names
from loadbalancer.config import host_ports
from loadbalancer.config.host_ports import HostPort
from loadbalancer.engine import container
from loadbalancer.engine.client import Client
from loadbalancer.engine.container import Container

_LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp."""
_TABLES = (("tcp", 4), ("tcp6", 16))


def in_use(
    client: Client, wanted: Collection[HostPort], holder: Callable[[Container], str | None]
) -> dict[HostPort, str]:
    """Find which ports of the host something else than a stack's own containers uses.

    Other programs are only found where the engine publishes ports on this machine.

    Args:
        client: the engine that the containers run in.
        wanted: the ports.
        holder: describes a container that publishes one; None for one of the stack's own.

    Returns:
        What uses a port, such as `container web` or `another program`.
    """
    used: dict[HostPort, str] = {}
    own: set[HostPort] = set()
    for one in container.find(client):
        held = published(one)
        description = holder(one) if held else None
        if description is None:
            own |= held
        else:
            taken = (port for port in wanted if any(port.overlaps(other) for other in held))
            used |= dict.fromkeys(taken, description)
    if engine.remote_host() is None:
        for port in wanted:
            if port not in used and _is_held_by_a_program(port, own):
                used[port] = "another program"
    return used


def published(one: Container) -> set[HostPort]:
    """Return the ports of the host that a container publishes."""
    return {HostPort(port.ip, port.external) for port in one.ports if port.protocol == "tcp"}


def by_key(containers: Iterable[Container]) -> dict[str, set[HostPort]]:
    """Return what the containers of a stack publish, by the keys that configure it."""
    found: dict[str, set[HostPort]] = {}
    keys = {host_ports.LISTENING_PORT: "port", host_ports.ADMIN_PORT: "adminPort"}
    for one in containers:
        app = one.labels.get(names.APP)
        for port in one.ports:
            key = f"apps.{app}.directPort" if app else keys.get(port.internal)
            if key:
                found.setdefault(key, set()).add(HostPort(port.ip, port.external))
    return found


def _is_held_by_a_program(wanted: HostPort, own: Collection[HostPort]) -> bool:
    held = [one for one in own if wanted.overlaps(one)]
    if not held:
        return is_bound(wanted.ip, wanted.port)
    # A trial would fail at the stack's own container, so look who listens: a port goes from
    # 127.0.0.1 to 0.0.0.0 only if no program has it on another address.
    others = set(_listeners(wanted.port)) - set(held)
    return any(wanted.overlaps(other) for other in others)


def _listeners(port: int) -> Iterator[HostPort]:
    """List what listens on a port of this machine; nothing where there is no /proc."""
    for table, size in _TABLES:
        try:
            rows = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, *_ = row.split()
            address, _, number = local.partition(":")
            if state == _LISTEN and int(number, 16) == port:
                yield HostPort(_address(address, size), port)


def _address(text: str, size: int) -> str:
    """Read an address of /proc/net: words of four bytes, each in the order of the machine."""
    packed = bytes.fromhex(text)
    words = [packed[at : at + 4][::-1] for at in range(0, size, 4)]
    return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, b"".join(words))  # noqa: PLR2004


def is_bound(address: str, port: int) -> bool:
    """Tell whether a program of this machine listens on a port."""
    return _trial(address, port) == errno.EADDRINUSE


def is_local(address: str) -> bool:
    """Tell whether this machine has an address, so that a program can listen on it."""
    # These can be bound, but no connection ever arrives there.
    groups = ip_address(address).is_multicast or address == "255.255.255.255"
    return not groups and _trial(address, 0) in {0, errno.EADDRINUSE, errno.EACCES}


def _trial(address: str, port: int) -> int:
    """Take a port for a moment; returns the number of the error, 0 where there is none."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As Docker does it: connections that have ended do not hold a port, a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return 0
