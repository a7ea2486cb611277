"""Other weights for the servers of a route that is in force; pure."""

from collections import defaultdict
from collections.abc import Mapping

from loadbalancer import shares, upstream


def reweighted(text: str, weights: Mapping[str, int]) -> str | None:
    """Write the route that the program would, for the servers that there are.

    Args:
        text: the route in force.
        weights: weight of each app; one that it does not name is left out.

    Returns:
        The text; None where no server would be asked, or one is not there that should be.
    """
    names = upstream.apps(text)
    servers: defaultdict[str, list[str]] = defaultdict(list)
    for address in upstream.addresses(text):
        app = names.get(address.rpartition(":")[2])
        if app is None:
            return None
        if app in weights:
            servers[app].append(address)
    wanted = {app: weights[app] for app in sorted(servers)}
    if not any(wanted.values()) or any(weights[app] for app in weights.keys() - wanted.keys()):
        return None
    each = shares.server_weights(wanted, {app: len(own) for app, own in servers.items()})
    every = [
        upstream.Server(app, host, int(port), each[app])
        for app, own in servers.items()
        for host, _, port in (address.rpartition(":") for address in own)
    ]
    return upstream.render(every, wanted)
