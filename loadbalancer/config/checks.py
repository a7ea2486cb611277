"""What a user should know about a configuration that can be; pure."""

from collections.abc import Collection, Iterator

from loadbalancer.config.model import Settings
from loadbalancer.nginx import shares

LONG_CYCLE = 1000
"""Requests in one cycle above which a user is told how long it takes until shares are exact."""


def on(settings: Settings, apps: Collection[str]) -> Iterator[str]:
    """Say what is not deployed, what takes long to be exact, and what cannot be hitless.

    Args:
        settings: the checked configuration.
        apps: names of the folders under apps/ that can be built.
    """
    for app in sorted(set(apps) - settings.weights.keys()):
        command = f"pulumi config set --path weights.{app} 1"
        yield f"apps/{app} has no weight, so it is not deployed. Give it one: {command}"
    each = shares.server_weights(settings.weights, settings.replicas)
    cycle = shares.cycle_length(each, settings.replicas)
    if cycle > LONG_CYCLE:
        yield f"shares are exact over one cycle of {cycle:,} requests"
    for app, port in settings.direct_ports.items():
        yield (
            f"{app} has port {port} of the host to itself, which its old and its new container "
            f"cannot share: new code of {app} replaces the old one before the new one serves"
        )
