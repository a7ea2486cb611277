"""Checks of ports against the host: what is free, what a container takes over, and advice."""

from collections.abc import Callable, Collection, Iterator, Mapping

from loadbalancer.config import host_ports
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.host_ports import ADMIN_BIND, HostPort
from loadbalancer.config.model import Settings
from loadbalancer.config.problems import Problem

LONGEST_GAP = 5
"""Seconds at most that requests in flight get to finish when nginx's container is replaced. For as
long nobody else is answered, so that they do not get the whole of `drain`."""
_GAP = "about 1 s"
"""How long nothing answers when nginx's container is replaced; docs/architecture.md has figures."""
_NGINX_PORTS = ("port", "adminPort")


def ports_in_use(
    settings: Settings,
    in_use: Mapping[HostPort, str],
    fix: FixCommands,
    is_free: Callable[[HostPort], bool] = lambda _: True,
) -> Iterator[Problem]:
    """Find the configured ports that are not free.

    Args:
        settings: the checked configuration.
        in_use: what uses each endpoint that something else than this stack uses, such as
            `container web` or `another program`.
        fix: the commands for the configuration.
        is_free: tells whether a port that the error suggests is not in use.
    """
    suggested: set[int] = set()
    for path, wanted in host_ports.configured(settings).items():
        used = [one for one in wanted if one in in_use]
        if used:
            port = used[0].port
            reason = f"is in use on this host by {in_use[used[0]]}"

            def free(port: int, ips: Collection[str] = tuple(one.ip for one in wanted)) -> bool:
                return port not in suggested and all(is_free(HostPort(ip, port)) for ip in ips)

            other = host_ports.another_port(settings, port, free)
            suggested.add(other)
            yield Problem(path, port, reason, f"Free it, or use another: {fix.set(path, other)}")


def addresses_elsewhere(
    settings: Settings, is_local: Callable[[str], bool], fix: FixCommands
) -> Iterator[Problem]:
    """Find addresses to publish ports on that the host does not have.

    Args:
        settings: the checked configuration.
        is_local: tells whether the host has an address.
        fix: the commands for the configuration.
    """
    missing = [ip for ip in host_ports.addresses(settings.bind) if not is_local(ip)]
    if missing:
        reason = "is not an address of this host"
        if host_ports.ANY_IPV6 in missing:
            reason = "needs IPv6, which this host does not have"
        local, everywhere = (fix.set("bind", ip) for ip in ("127.0.0.1", host_ports.ANY_IPV4))
        how = f"Use this host alone: {local}, or all its addresses: {everywhere}"
        yield Problem("bind", str(settings.bind), reason, how)


def ports_held_by_other_containers(
    settings: Settings, published: Mapping[str, Collection[HostPort]], fix: FixCommands
) -> Iterator[Problem]:
    """Find configured ports that another container of the stack publishes until the update ends.

    Args:
        settings: the checked configuration.
        published: what the stack's containers publish now, by the keys of their ports.
        fix: the commands for the configuration.
    """
    configured = host_ports.configured(settings)
    wanted = [one for each in configured.values() for one in each]
    for path, other in host_ports.held_elsewhere(settings, published):
        port = configured[path][0].port
        holder = host_ports.container_of(other)
        reason = f"is published by {holder} ({other}) until its new container serves"
        now = {one.port for one in published.get(path, ())}
        claimed = {one.port for one in wanted} | {port}
        if now - claimed:
            first = fix.set(path, min(now - claimed))
        elif "." in path:
            first = fix.remove(path)
        else:
            first = fix.set(path, host_ports.another_port(settings, port))
        then = f"{fix.set(path, port)} && {fix.up()}"
        how = f"Take two updates. Now: {first} && {fix.up()}. Then: {then}"
        yield Problem(path, port, reason, how)


def remote_advice(settings: Settings, host: str | None, fix: FixCommands) -> Iterator[str]:
    """Say which addresses lead nowhere from here, since the engine is on another machine.

    Args:
        settings: the checked configuration.
        host: the engine's machine; None where it is this one.
        fix: the commands for the configuration.
    """
    if host is None or host_ports.is_loopback(host):
        return
    if settings.bind.is_loopback:
        yield (
            f"bind: {settings.bind} is reached from {host} alone, where the Docker engine is. "
            f"Publish the port on all its addresses: {fix.set('bind', '0.0.0.0')}"  # noqa: S104
        )
    port = settings.admin_port or "PORT"
    yield (
        f"adminPort: {port} is reached from {host} alone, where the Docker engine is. Forward it "
        f"from here: ssh -N -L {port}:{ADMIN_BIND}:{port} {host}"
    )


def replacement_advice(
    settings: Settings, published: Mapping[str, Collection[HostPort]], reasons: Collection[str]
) -> str:
    """Say in which order nginx's container is replaced, and what gap to expect.

    Args:
        settings: the checked configuration.
        published: what the stack's containers publish now, by the keys of their ports.
        reasons: what changes, such as "its image".
    """
    wanted = {k: v for k, v in host_ports.configured(settings).items() if k in _NGINX_PORTS}
    held = [port for key in _NGINX_PORTS for port in published.get(key, ())]
    start = f"nginx's container is replaced, since {' and '.join(reasons)} changes"
    both = [one for each in wanted.values() for one in each if any(map(one.overlaps, held))]
    if not both and len(wanted) == len(_NGINX_PORTS):
        return f"{start}. The new one serves before the old one is removed"
    where = ", ".join(str(one) for one in both) or "its ports"
    return (
        f"{start}. The new one is tried beside the old one, without ports. Then the old one stops, "
        f"after at most {min(settings.drain, LONGEST_GAP)} s for requests in flight, and the new "
        f"one takes its place. Expect {_GAP} without answers on {where}"
    )


def changed_ports(
    settings: Settings, published: Mapping[str, Collection[HostPort]]
) -> Iterator[str]:
    """Name the ports of nginx that change, by their keys; those that are 0 are kept."""
    for key, wanted in host_ports.configured(settings).items():
        now = published.get(key)
        if key in _NGINX_PORTS and now and set(wanted) != set(now):
            same_port = {one.port for one in wanted} == {one.port for one in now}
            yield "bind" if same_port else key
