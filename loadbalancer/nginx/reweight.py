"""Other weights for the servers of a route that is in force; pure."""

from collections import defaultdict
from collections.abc import Mapping

from loadbalancer.nginx import upstream


def reweighted(text: str, weights: Mapping[str, int]) -> str | None:
    """Write the route that the program would, for the servers that there are.

    Args:
        text: the route in force.
        weights: weight of each app; one that it does not name is left out.

    Returns:
        The text; None where no server would be asked, or one is not there that should be.
    """
    names = upstream.apps(text)
    servers: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for address in upstream.addresses(text):
        host, _, port = address.rpartition(":")
        app = names.get(port)
        if app is None:
            return None
        if app in weights:
            servers[app].append((host, int(port)))
    wanted = {app: weights[app] for app in sorted(servers)}
    if not any(wanted.values()) or any(weights[app] for app in weights.keys() - wanted.keys()):
        return None
    return upstream.split(wanted, servers)
