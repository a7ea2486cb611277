"""Containers as the engine has them. Reads only, changes nothing."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loadbalancer import engine

if TYPE_CHECKING:
    from loadbalancer.engine.client import Client

_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")
CPU_PERIOD = 100_000
"""Microseconds in which a container may use its quota of processor time (Docker's default)."""
_STOPPED = frozenset({"created", "exited", "dead", "removing"})


@dataclass(frozen=True, order=True)
class Port:
    """A port of the host that is published to one of a container; `protocol` is tcp or udp."""

    ip: str
    external: int
    internal: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.external}" + ("" if self.protocol == "tcp" else f"/{self.protocol}")


@dataclass(frozen=True)
class Limits:
    """What `docker update` changes: memory in bytes and processors, 0 for all, and the restarts."""

    memory: int = 0
    memory_swap: int = 0
    cpus: float = 0.0
    restart: str = "no"


@dataclass(frozen=True)
class Details:
    """What only an inspection of a container tells.

    `aliases` are the other names that it has in each network, `volumes` are the names of its
    volumes by their paths in it.
    """

    limits: Limits = field(default_factory=Limits)
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0


@dataclass(frozen=True)
class Container:
    """A container. `status` and `health` are Docker's words; `health` is None without a check.

    `image` is an ID, `networks` are the names of those that it is connected to. `details` is None
    in a list.
    """

    id: str
    name: str
    status: str
    health: str | None
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset()
    ports: frozenset[Port] = frozenset()
    details: Details | None = None

    @property
    def works(self) -> bool:
        """Whether it runs, and is healthy if it has a health check."""
        return self.status == "running" and self.health in {None, "healthy"}

    @property
    def stopped(self) -> bool:
        """Whether it has no process, so that it writes no log either."""
        return self.status in _STOPPED


def find(
    client: "Client", labels: Mapping[str, str] | None = None, *, with_label: str | None = None
) -> list[Container]:
    """List containers, running or not, with these labels or any value of one, in one call.

    Raises:
        EngineError: when no engine answers.
    """
    wanted = [f"{key}={value}" for key, value in (labels or {}).items()]
    wanted += [with_label] if with_label else []
    filters = {"label": wanted} if wanted else None
    try:
        summaries = client.api.containers(all=True, filters=filters)
    except engine.EngineError:
        raise
    except engine.ENGINE_ERRORS as error:
        raise engine.EngineError(str(error)) from error
    return [_of_summary(summary) for summary in summaries]


def inspect(client: "Client", id_: str) -> Container | None:
    """Look at one container; None where there is none of that ID."""
    try:
        attributes = client.api.inspect_container(id_)
    except engine.NotFound:
        return None
    state, network = attributes["State"], attributes["NetworkSettings"]
    return Container(
        id=attributes["Id"],
        name=attributes["Name"].lstrip("/"),
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status"),
        image=attributes["Image"],
        labels=attributes["Config"].get("Labels") or {},
        networks=frozenset(network["Networks"]),
        ports=frozenset(published(network["Ports"] or {})),
        details=_details(attributes),
    )


def _details(attributes: Mapping[str, Any]) -> Details:
    host, networks = attributes["HostConfig"], attributes["NetworkSettings"]["Networks"]
    # Docker has two ways to write the same limit, of which one is 0.
    cpus = host.get("NanoCpus", 0) / 1e9
    if quota := host.get("CpuQuota"):
        cpus = quota / (host.get("CpuPeriod") or CPU_PERIOD)
    return Details(
        limits=Limits(
            memory=host.get("Memory") or 0,
            # -1 is no limit, as where the kernel does not count swap.
            memory_swap=max(host.get("MemorySwap") or 0, 0),
            cpus=cpus,
            restart=(host.get("RestartPolicy") or {}).get("Name") or "no",
        ),
        aliases={name: frozenset(one.get("Aliases") or ()) for name, one in networks.items()},
        volumes={
            one["Destination"]: one["Name"]
            for one in attributes.get("Mounts") or ()
            if one["Type"] == "volume"
        },
        restarts=attributes["RestartCount"],
    )


def _of_summary(summary: Mapping[str, Any]) -> Container:
    health = _HEALTH.search(summary.get("Status", ""))
    network = summary.get("NetworkSettings") or {}
    return Container(
        id=summary["Id"],
        # Docker writes a name as a path; a container that is being removed may have none.
        name=(summary["Names"] or [summary["Id"][:12]])[0].lstrip("/"),
        status=summary["State"],
        health=health[1] if health else None,
        image=summary.get("ImageID", ""),
        labels=summary.get("Labels") or {},
        networks=frozenset(network.get("Networks") or {}),
        ports=frozenset(
            Port(one.get("IP", ""), one["PublicPort"], one["PrivatePort"], one["Type"])
            for one in summary.get("Ports") or ()
            if "PublicPort" in one
        ),
    )


def published(ports: Mapping[str, list[dict[str, Any]] | None]) -> Iterable[Port]:
    """Read published ports in the form in which Docker inspects and creates containers."""
    for key, bindings in ports.items():
        internal, _, protocol = key.partition("/")
        for one in bindings or []:
            yield Port(one["HostIp"], int(one["HostPort"]), int(internal), protocol)
