"""What must be true of the host before anything is declared; only looks, never changes."""

import errno
import socket
from collections.abc import Iterator, Mapping

from docker import DockerClient
from docker.models.containers import Container

from loadbalancer.config.fix_commands import set_to
from loadbalancer.config.model import ADMIN_BIND, Settings
from loadbalancer.config.problems import Problem
from loadbalancer.names import PROJECT, STACK


def taken_ports(
    client: DockerClient, settings: Settings, project: str, stack: str, *, local: bool
) -> list[Problem]:
    """Find the configured ports that somebody else holds already.

    Args:
        client: the engine that the stack's containers run in.
        settings: the stack's configuration.
        project: the stack's project; ports that its own containers publish are its own.
        stack: the stack's name.
        local: whether the engine publishes on this machine, where other programs can be seen too.
    """
    own: set[int] = set()
    others: dict[int, str] = {}
    for container in client.containers.list(ignore_removed=True):
        labels = container.labels
        if labels.get(PROJECT) == project and labels.get(STACK) == stack:
            own.update(published(container))
        else:
            others.update({port: f"container {container.name}" for port in published(container)})
    wanted = {"port": settings.port, "adminPort": settings.admin_port}
    wanted |= {f"directPorts.{app}": port for app, port in settings.direct_ports.items()}
    wanted = {key: port for key, port in wanted.items() if port}
    if local:
        binds = {settings.admin_port: str(ADMIN_BIND)}
        for port in set(wanted.values()) - own - others.keys():
            if is_bound(binds.get(port, str(settings.bind)), port):
                others[port] = "another program"
    return list(_problems(wanted, own, others))


def _problems(
    wanted: Mapping[str, int], own: set[int], others: Mapping[int, str]
) -> Iterator[Problem]:
    for key, port in wanted.items():
        if port in others and port not in own:
            reason = f"is taken on this host by {others[port]}"
            remedy = f"Free it, or take another: {set_to(key, _next_to(port))}"
            yield Problem(key, port, reason, remedy)


def _next_to(port: int) -> int:
    return port + 1 if port < 65535 else port - 1  # noqa: PLR2004 - the last port


def published(container: Container) -> set[int]:
    """Find the ports of the host that lead to a container."""
    bindings = (container.attrs["NetworkSettings"].get("Ports") or {}).values()
    return {int(binding["HostPort"]) for group in bindings for binding in group or ()}


def is_bound(address: str, port: int) -> bool:
    """Tell whether a program of this machine holds a port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Docker does it: connections that have ended do not hold a port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
