"""Checks of a configuration as a whole: keys that conflict, ports in use, and advice."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from loadbalancer.config import host_ports, units
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import DEFAULT_STEPS, PLANS, RolloutSettings, Settings
from loadbalancer.config.problems import Problem
from loadbalancer.config.reference import example

LONG_CYCLE = 1000
"""Requests of one cycle above which the user is told how many requests make shares exact."""

_FIRST_DIRECT_PORT = 5001


def conflicts(
    settings: Settings, fix: FixCommands, faulty: Collection[str], apps: Sequence[str]
) -> Iterator[Problem]:
    """Find valid values that exclude each other.

    Args:
        settings: the settings; those of faulty keys are partial.
        fix: the commands for the configuration.
        faulty: top-level keys with a fault of their own.
        apps: names of the folders under apps/ that can be built.
    """
    yield from _duplicate_ports(settings, fix)
    for app, one in sorted(settings.apps.items()):
        replicas = settings.app(app).replicas
        if one.direct_port is not None and replicas > 1:
            path = f"apps.{app}.directPort"
            reason = f"leads to one container, and {app} has {replicas} replicas"
            yield Problem(path, one.direct_port, reason, f"Remove it: {fix.remove(path)}")
    yield from _untellable_clients(settings, fix)
    for key, value, reason in rollout_conflicts(settings.rollout):
        path = f"rollout.{key}"
        yield Problem(path, value, reason, f"Remove it: {fix.remove(path)}")
    if "weights" not in faulty:
        yield from _no_share(settings.weights, fix, apps)


def _duplicate_ports(settings: Settings, fix: FixCommands) -> Iterator[Problem]:
    used: dict[int, str] = {}
    for path, number in host_ports.every(settings).items():
        if number in used:
            other = host_ports.another_port(
                settings, number if "." not in path else _FIRST_DIRECT_PORT - 1
            )
            reason = f"is already used by {used[number]}"
            yield Problem(path, number, reason, f"Use another: {fix.set(path, other)}")
        used.setdefault(number, path)


def _untellable_clients(settings: Settings, fix: FixCommands) -> Iterator[Problem]:
    """Find trusted proxies on this host whose connections look like those of clients."""
    own = [one for one in settings.trusted_proxies if one.is_loopback]
    if own and host_ports.hides_clients(settings.bind):
        reason = (
            f"stands for this host, and with bind {settings.bind} Docker passes the connections of "
            "all IPv6 clients on as if they came from it"
        )
        bind = fix.set("bind", "127.0.0.1")
        yield Problem("trustedProxies", str(own[0].network_address), reason, f"Use IPv4: {bind}")


def _no_share(
    weights: Mapping[str, int], fix: FixCommands, apps: Sequence[str]
) -> Iterator[Problem]:
    if not apps:
        reason = "has no app: no folder under apps/ can be built"
        yield Problem("weights", {}, reason, "Create one: ./lb app new app1")
    elif not any(weights.values()):
        app = next(iter(weights), apps[0])
        path = f"weights.{app}"
        # One that is deployed may be deployed with 0 as well.
        value = fix.valid(path) if fix.valid(path) != "0" else example(path)
        reason = "are all 0, so that no app could answer"
        if not weights:
            reason = f"names no app (apps: {', '.join(apps)})"
        yield Problem("weights", dict(weights), reason, f"Set one above 0: {fix.set(path, value)}")


def step_count(settings: RolloutSettings) -> int:
    """Count the steps of the plan that is set."""
    if settings.linear:
        fraction, _ = units.parse_linear(settings.linear)
        return -(-1 // fraction)
    if settings.canary:
        return 2
    if settings.at_once:
        return 1
    return len(units.parse_steps(settings.steps or DEFAULT_STEPS))


def rollout_conflicts(settings: RolloutSettings) -> Iterator[tuple[str, object, str]]:
    """Find settings of a rollout that exclude each other.

    Yields:
        The key below `rollout`, its value, and the reason.
    """
    plans = [name for name in PLANS if getattr(settings, name)]
    for name in plans[1:]:
        first, key = (RolloutSettings.key(one) for one in (plans[0], name))
        yield key, getattr(settings, name), f"is a second plan, besides {first}"
    if settings.to and not any(settings.to.values()):
        yield "to", settings.to, "are all 0, so that no app could answer"
    if settings.confirm:
        count = step_count(settings)
        numbers = units.parse_step_numbers(settings.confirm, count)
        above = sorted(number for number in numbers if number > count)
        if above:
            yield "confirm", settings.confirm, f"names step {above[0]}, and there are {count}"


def advice(
    settings: Settings, apps: Collection[str], cycle: int, fix: FixCommands | None = None
) -> Iterator[str]:
    """Say what is not deployed, when shares are exact, and what is not replaced new before old.

    Args:
        settings: the checked configuration.
        apps: names of the folders under apps/ that can be built.
        cycle: requests after which every share is exact.
        fix: the commands for the configuration.
    """
    fix = fix or FixCommands({})
    for app in sorted(set(apps) - settings.weights.keys()):
        command = fix.set(f"weights.{app}", 1)
        yield f"apps/{app} has no weight, so it is not deployed. Set one: {command}"
    if cycle > LONG_CYCLE:
        yield f"shares are exact over one cycle of {cycle:,} requests"
    if settings.http.proxy_protocol and not settings.trusted_proxies:
        command = fix.set("trustedProxies")
        yield (
            "http.proxyProtocol: the address of the client is not taken from any proxy. Name those "
            f"that are trusted: {command}"
        )
    for app in settings.weights:
        port = settings.app(app).direct_port
        if port is not None:
            yield (
                f"{app} has {f'port {port}' if port else 'a port'} of the host, which its old and "
                f"its new container cannot share: a new version of {app} starts once beside the "
                "old one, which then stops before the new one takes its place"
            )
