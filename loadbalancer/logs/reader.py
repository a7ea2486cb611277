"""The containers of a stack, and what each has logged; only looks, never changes."""

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import DockerException
from requests import RequestException
from urllib3.exceptions import HTTPError

from loadbalancer import names
from loadbalancer.logs.merge import Lines, Position
from loadbalancer.logs.parse import Line, Source, parse

_STILL = frozenset({"created", "exited", "dead", "removing"})
"""States, in Docker's words, of a container that writes nothing."""

_CUT_OFF = (DockerException, RequestException, HTTPError, OSError, struct.error)
"""How a log ends whose container, or whose engine, goes away."""


@dataclass(frozen=True)
class Container:
    """A container of the stack; `runs` is whether it may write more, `network` is its label's."""

    id: str
    source: Source
    network: str
    runs: bool


class LogSource:
    """The logs of one stack's containers, each of which is read on from where it was left."""

    def __init__(self, client: DockerClient, project: str, stack: str) -> None:
        self._client = client
        self._labels = [f"{key}={value}" for key, value in names.labels(project, stack).items()]
        self._prefix = f"{names.slug(project)}-{names.slug(stack)}-"
        self._positions: dict[str, Position] = {}
        self._ports: dict[int, str] = {}

    def containers(self, strangers: Collection[str] = ()) -> list[Container]:
        """Look which containers there are, running or not, but for those of some networks.

        Raises:
            DockerException: when no engine answers.
        """
        try:
            every = self._client.api.containers(all=True, filters={"label": self._labels})
        except RequestException as error:
            raise DockerException(str(error)) from error
        found = [self._container(summary) for summary in every]
        found = [one for one in found if one.network not in strangers]
        apps = {one.source.app for one in found if one.source.app is not None}
        self._ports = {port: app for app, port in names.listening_ports(apps).items()}
        return found

    def _container(self, summary: Mapping[str, Any]) -> Container:
        labels = summary["Labels"]
        # Docker writes a name as a path; one that is just being removed may have none any more.
        name = (summary["Names"] or [summary["Id"][:12]])[0].lstrip("/")
        source = Source(name.removeprefix(self._prefix), labels.get(names.APP))
        network = labels.get(names.NETWORK, "")
        return Container(summary["Id"], source, network, summary["State"] not in _STILL)

    def read(self, container: Container, *, tail: int | None, follow: bool) -> Iterator[Line]:
        """Read what has been logged since the last time; ends quietly if the container goes.

        Args:
            container: whose log.
            tail: how many lines at most, the newest; None for all.
            follow: go on with what comes, until the container stops.
        """
        position = self._positions.setdefault(container.id, Position())
        since, lines = position.resume(), Lines()

        def new(found: Iterator[tuple[str, str]]) -> Iterator[Line]:
            for time, text in found:
                if position.passes(time):
                    yield parse(time, container.source, text, self._ports)

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
