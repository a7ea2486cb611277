"""Names, labels and ports that identify a stack's resources on a host with other stacks."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from zlib import crc32

APP_NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
"""A DNS label that starts with a letter and leaves room for the prefix and suffix of a container's
name within the 63 characters of a label (RFC 1035, section 2.3.4)."""

PROJECT = "loadbalancer.project"
STACK = "loadbalancer.stack"
NETWORK = "loadbalancer.network"
APP = "loadbalancer.app"
CHECKOUT = "loadbalancer.checkout"
BACKEND = "loadbalancer.backend"

TAKES_OVER = "LOADBALANCER_TAKES_OVER"
"""Variable with the networks, separated by blanks, from whose containers a stack takes over: those
of a stack whose Pulumi state was lost."""

_FIRST_PORT, _PORTS = 10_000, 50_000
_LONGEST_SLUG = 20


def slug(stack: str) -> str:
    """Turn the name of a stack into part of a Docker name, different for different stacks."""
    if re.fullmatch(rf"[a-z0-9]([a-z0-9-]{{0,{_LONGEST_SLUG - 2}}}[a-z0-9])?", stack):
        return stack
    digest = hashlib.sha256(stack.encode()).hexdigest()[:6]
    plain = re.sub(r"[^a-z0-9]+", "-", stack.lower()).strip("-")[: _LONGEST_SLUG - 7].rstrip("-")
    return f"{plain or 'stack'}-{digest}"


def labels(project: str, stack: str, **more: str) -> dict[str, str]:
    """Return the labels of everything that belongs to a stack.

    Args:
        project: the project's name.
        stack: the stack's name.
        more: `checkout`, the host and folder from which it was made, and `backend`, the place of
            its Pulumi state. Both are there to find what a lost state has left.
    """
    return {PROJECT: project, STACK: stack} | {f"loadbalancer.{key}": more[key] for key in more}


def owner(labels: Mapping[str, str]) -> str:
    """Describe the stack that something belongs to by its labels; empty where they name none."""
    if not labels.get(STACK):
        return ""
    where = f" of {labels[CHECKOUT]}" if labels.get(CHECKOUT) else " of another checkout"
    return f"stack {labels[STACK]}{where}"


def taken_over() -> frozenset[str]:
    """Name the networks from whose containers this update takes over the ports of the host."""
    return frozenset(os.environ.get(TAKES_OVER, "").split())


def listening_ports(apps: Iterable[str]) -> dict[str, int]:
    """Give each app its own port inside the network, which identifies the app in nginx's log.

    The port is derived from the name, so that adding or removing an app changes no other port. Two
    names with the same port get neighbouring ones.
    """
    ports: dict[str, int] = {}
    for app in sorted(apps):
        port = _FIRST_PORT + crc32(app.encode()) % _PORTS
        while port in ports.values():
            port = _FIRST_PORT + (port + 1 - _FIRST_PORT) % _PORTS
        ports[app] = port
    return ports
