"""The containers of a stack, and the log of each. Reads only, changes nothing."""

import struct
from collections.abc import Callable, Collection, Iterator

from urllib3.exceptions import HTTPError

from loadbalancer import names
from loadbalancer.engine import ENGINE_ERRORS, Client, container
from loadbalancer.engine.container import Container
from loadbalancer.logs.merge import Lines, Position
from loadbalancer.logs.parse import Line, Source, parse

Networks = Callable[[Collection[str]], Collection[str]]
"""Returns those networks among some that belong to the stack."""

_CUT_OFF = (*ENGINE_ERRORS, HTTPError, OSError, struct.error)
"""How a log ends whose container, or whose engine, goes away."""


def source_of(container: Container) -> Source:
    """Name the source of a container's log lines: its name without project and stack, its app."""
    labels = container.labels
    project, stack = labels.get(names.PROJECT, ""), labels.get(names.STACK, "")
    prefix = f"{names.slug(project)}-{names.slug(stack)}-"
    return Source(container.name.removeprefix(prefix), labels.get(names.APP))


class LogSource:
    """The logs of one stack's containers. Each is read on from where it was left."""

    def __init__(self, client: Client, networks: Networks) -> None:
        """Read with a client; `networks` tells the stack's own among the names of networks."""
        self._client = client
        self._networks = networks
        self._positions: dict[str, Position] = {}
        self._ports: dict[int, str] = {}

    def containers(self) -> list[Container]:
        """List the stack's containers, running or not: those with a label of its networks.

        Raises:
            EngineError: when no engine answers.
            PulumiError: when the stack's networks cannot be read.
        """
        every = container.find(self._client, with_label=names.NETWORK)
        own = self._networks({one.labels[names.NETWORK] for one in every})
        found = [one for one in every if one.labels[names.NETWORK] in own]
        apps = {app for one in found if (app := one.labels.get(names.APP)) is not None}
        self._ports = {port: app for app, port in names.listening_ports(apps).items()}
        return found

    def read(self, container: Container, *, tail: int | None, follow: bool) -> Iterator[Line]:
        """Read what was logged since the last call; ends without an error if the container goes.

        Args:
            container: whose log.
            tail: number of lines at most, the newest; None for all.
            follow: continue with new lines until the container stops.
        """
        position = self._positions.setdefault(container.id, Position())
        since, lines, source = position.resume(), Lines(), source_of(container)

        def new(found: Iterator[tuple[str, str]]) -> Iterator[Line]:
            for time, text in found:
                if position.passes(time):
                    yield parse(time, source, text, self._ports)

        try:
            pieces = self._client.api.logs(
                container.id,
                timestamps=True,
                stream=True,
                follow=follow,
                tail="all" if tail is None else tail,
                since=since,
            )
            for piece in pieces:
                yield from new(lines.add(piece))
        except _CUT_OFF:
            pass
        yield from new(lines.rest())
