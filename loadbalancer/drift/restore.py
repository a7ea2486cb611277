"""Restoring containers in place: what is wrong with each is set right, and nothing is replaced.

Whatever can be changed on a running container is changed there, in the order in which requests get
through again: its name and networks, then the process, then limits, and published ports last.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from loadbalancer.drift import probe
from loadbalancer.engine import APIError, Client, container
from loadbalancer.engine.container import CPU_PERIOD, Container, Limits
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.state.deployment import Desired, DesiredContainer

Report = Callable[[str], None]

_STEPS: dict[str, tuple[str, Callable[[Client, str], None]]] = {
    "paused": ("unpausing", lambda client, id_: client.api.unpause(id_)),
    "exited": ("starting", lambda client, id_: client.api.start(id_)),
    "created": ("starting", lambda client, id_: client.api.start(id_)),
}
"""What makes a container run again, by its status."""

_HEALTH_TIMEOUT = 60.0
"""Seconds that the containers may take to become healthy before they are replaced."""
_PATIENCE = 15.0
"""Seconds in which one that is unhealthy because it is busy becomes healthy by itself."""
_PORT_TIMEOUT = 10.0
"""Seconds in which a port answers again once its container has been reconnected."""

_STOP_TIMEOUT = 5
"""Seconds that a container gets to stop whose port is dead, so that no client waits for it."""


class StartError(RuntimeError):
    """Containers that were stopped do not serve; the message says which, and why."""


def restore(client: Client, desired: Desired, report: Report) -> list[str]:
    """Restore the existing containers of a stack in place, and wait until they serve.

    Args:
        client: the engine that they run in.
        desired: what the stack's state describes.
        report: called with each thing that is changed.

    Returns:
        URNs of those that exist and cannot be restored, so that they have to be replaced.
    """
    existing = [one for one in _ordered(desired) if container.inspect(client, one.id)]
    started = set()
    for one in existing:
        try:
            if _settle(client, one, report):
                started.add(one.id)
        except APIError as error:
            report(f"{one.name}: {error.explanation}")
    _wait_until_healthy(client, existing, started, report)
    _reopen_ports(client, existing, report)
    return [one.urn for one in existing if _is_broken(client, one)]


def start(client: Client, desired: Desired, report: Report) -> None:
    """Start the containers of a stack that were stopped, and wait until they serve.

    Args:
        client: the engine that they run in.
        desired: what the stack's state describes.
        report: called with each container that is started.

    Raises:
        StartError: when one cannot be started, or is not healthy then.
    """
    started, failed = set(), []
    for one in _ordered(desired):
        now = container.inspect(client, one.id)
        if now is None or now.status != "exited":
            continue
        report(f"starting {one.name}, which was stopped")
        try:
            client.api.start(one.id)
            started.add(one.id)
        except APIError as error:
            failed.append(f"{one.name}: {error.explanation}")
    running = [one for one in desired.containers if one.id in started]
    _wait_until_healthy(client, running, started, report)
    for one in running:
        now = container.inspect(client, one.id)
        if now is None or not now.works:
            failed.append(f"{one.name} is not healthy")
    if failed:
        raise StartError(f"containers were not started: {'; '.join(failed)}")


def _ordered(desired: Desired) -> list[DesiredContainer]:
    """Order containers as they start: nginx last, since it looks for the apps then."""
    nginx = desired.route.container if desired.route else ""
    return sorted(desired.containers, key=lambda one: (one.id == nginx, one.name))


def _is_broken(client: Client, desired: DesiredContainer) -> bool:
    now = container.inspect(client, desired.id)
    return now is not None and (not now.works or any(differences(desired, now)))


def differences(desired: DesiredContainer, actual: Container) -> Iterator[str]:
    """Name what of a container differs that can be changed while it runs."""
    if actual.name != desired.name:
        yield f"renamed to {actual.name}"
    for network in sorted(desired.networks.keys() - actual.networks):
        yield f"not connected to network {network}"
    for network in sorted(actual.networks - desired.networks.keys()):
        yield f"also connected to network {network}"
    if actual.details is None:
        return
    for network, aliases in sorted(desired.networks.items()):
        if network in actual.networks:
            missing = set(aliases) - actual.details.aliases.get(network, frozenset())
            for alias in sorted(missing):
                yield f"no alias {alias} in network {network}"
    yield from _limits(desired.limits, actual.details.limits)


def _limits(desired: Limits, actual: Limits) -> Iterator[str]:
    if actual.memory != desired.memory:
        yield f"memory {_memory(actual.memory)} instead of {_memory(desired.memory)}"
    elif actual.memory_swap and desired.memory_swap and actual.memory_swap != desired.memory_swap:
        swap, expected = _memory(actual.memory_swap), _memory(desired.memory_swap)
        yield f"memory and swap {swap} instead of {expected}"
    if round(actual.cpus, 3) != round(desired.cpus, 3):
        yield f"cpus {_cpus(actual.cpus)} instead of {_cpus(desired.cpus)}"
    if actual.restart != desired.restart:
        yield f"restart policy {actual.restart} instead of {desired.restart}"


def _memory(value: int) -> str:
    return f"{value / 1024 / 1024:g} MiB" if value else "unlimited"


def _cpus(value: float) -> str:
    return f"{value:g}" if value else "unlimited"


def _settle(client: Client, desired: DesiredContainer, report: Report) -> bool:
    """Set one container right; returns whether it did not run."""
    now = container.inspect(client, desired.id)
    if now is None or now.details is None:
        return False
    if now.name != desired.name:
        report(f"renaming {now.name} back to {desired.name}")
        client.api.rename(desired.id, desired.name)
    _connect(client, desired, now, report)
    changed = list(_limits(desired.limits, now.details.limits))
    if changed:
        report(f"setting {desired.name} back: {', '.join(changed)}")
        _update(client, desired.limits, now)
    if now.status not in _STEPS:
        return False
    verb, step = _STEPS[now.status]
    report(f"{verb} {desired.name}")
    step(client, desired.id)
    return True


def _connect(client: Client, desired: DesiredContainer, now: Container, report: Report) -> None:
    """Connect a container to its networks, under its aliases, and to no other."""
    known: Mapping[str, frozenset[str]] = now.details.aliases if now.details else {}
    for network, aliases in sorted(desired.networks.items()):
        if network in now.networks:
            if set(aliases) <= known.get(network, frozenset()):
                continue
            # Aliases are given when a container is connected.
            client.api.disconnect_container_from_network(desired.id, network)
        report(f"connecting {desired.name} to network {network}")
        _join(client, desired, network)
    for network in sorted(now.networks - desired.networks.keys()):
        report(f"disconnecting {desired.name} from network {network}")
        client.api.disconnect_container_from_network(desired.id, network)


def _join(client: Client, desired: DesiredContainer, network: str) -> None:
    aliases = list(desired.networks[network]) or None
    client.api.connect_container_to_network(desired.id, network, aliases=aliases)


def _update(client: Client, limits: Limits, now: Container) -> None:
    """Set limits; Docker ignores 0, so that memory cannot become unlimited again in this way."""
    cpus = round(limits.cpus * CPU_PERIOD)
    differ = now.details is None or round(now.details.limits.cpus * CPU_PERIOD) != cpus
    policy: Any = {"Name": limits.restart, "MaximumRetryCount": 0}
    client.api.update_container(
        now.id,
        mem_limit=limits.memory,
        memswap_limit=limits.memory_swap,
        cpu_period=CPU_PERIOD if differ and cpus else None,
        cpu_quota=(cpus or -1) if differ else None,
        restart_policy=policy,
    )


def _wait_until_healthy(
    client: Client, existing: list[DesiredContainer], started: set[str], report: Report
) -> None:
    """Wait for health checks, of busy containers as well; what is left then is not healthy."""

    def undecided(one: DesiredContainer, hopeful: frozenset[str]) -> bool:
        now = container.inspect(client, one.id)
        if now is None or now.works:
            return False
        # Health checks of a paused container have failed; that stays until the next one.
        return one.id in started or bool({now.status, now.health} & hopeful)

    def wait(seconds: float, hopeful: frozenset[str]) -> None:
        def look() -> object:
            return [one.name for one in existing if undecided(one, hopeful)] or None

        Wait(seconds, 0.2).until("the containers' health checks", look)

    try:
        wait(_HEALTH_TIMEOUT, frozenset({"starting", "restarting"}))
        wait(_PATIENCE, frozenset({"starting", "unhealthy"}))
    except WaitTimeoutError as error:
        report(str(error))


def _reopen_ports(client: Client, existing: list[DesiredContainer], report: Report) -> None:
    """Have Docker publish ports again that refuse connections while their container runs.

    Docker publishes ports when it connects a container to a network, so that the process and what
    it holds in memory stay. It is restarted only where that does not help. A port that accepts
    connections and answers late is left alone: its container is busy.
    """
    for step, verb in ((_reconnect, "reconnecting"), (_restart, "restarting")):
        dead = _dead_ports(client, existing)
        for one, urls in ((one, dead[one.id]) for one in existing if one.id in dead):
            report(f"{verb} {one.name}, since {', '.join(urls)} does not answer")
            try:
                step(client, one)
                _wait_for_ports(client, one)
            except (APIError, WaitTimeoutError) as error:
                report(f"{one.name}: {error}")


def _dead_ports(client: Client, existing: list[DesiredContainer]) -> dict[str, list[str]]:
    """Find the addresses at which containers that run do not answer, by the containers' IDs."""
    found: dict[str, list[str]] = {}
    running = [one for one in existing if (now := container.inspect(client, one.id)) and now.works]
    host = probe.engine_host(client)
    for published, answer in probe.ask_all(probe.addresses(running, host)).items():
        if answer.dead:
            found.setdefault(published.container, []).append(published.url)
    return found


def _wait_for_ports(client: Client, one: DesiredContainer) -> None:
    def look() -> object:
        return _dead_ports(client, [one]).get(one.id)

    Wait(_PORT_TIMEOUT, 0.2).until(f"the ports of {one.name}", look)


def _reconnect(client: Client, one: DesiredContainer) -> None:
    for network in sorted(one.networks):
        client.api.disconnect_container_from_network(one.id, network)
        _join(client, one, network)


def _restart(client: Client, one: DesiredContainer) -> None:
    client.api.restart(one.id, timeout=_STOP_TIMEOUT)
