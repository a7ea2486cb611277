"""The text of nginx's route: its servers, and the share that each gets."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from loadbalancer.names import APP_NAME
from loadbalancer.nginx import shares

UPSTREAM = "apps"
"""Name of the upstream group that nginx.conf passes requests to."""

STAGING_PORT = 8082
"""Port on the loopback of nginx's container where servers are checked before they get requests."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_OPENING = re.compile(rf"^upstream {UPSTREAM} \{{\n", re.MULTILINE)
_SERVER = re.compile(r"^\s*server\s+([^\s;:]+):(\d+)\b", re.MULTILINE)
_BLOCK = re.compile(rf"\bupstream\s+{UPSTREAM}\s*\{{([^}}]*)\}}")
_STAGED = re.compile(
    r"^    server \S+ down resolve;\n"
    r"|^upstream staged_\d+ \{.*\}\n"
    rf"|^server \{{\n    listen 127\.0\.0\.1:{STAGING_PORT};\n(?:    .*\n)*\}}\n",
    re.MULTILINE,
)
"""What `staged` adds to a route. `render` never writes such lines."""
_WEIGHT = re.compile(r"(?<= weight[= ])\d+")
_APP = re.compile(r'^\s*"~:(\d+)\$" ([^\s;]+);(?: # weight (\d+)$)?', re.MULTILINE)


@dataclass(frozen=True, order=True)
class Server:
    """One container in the upstream: its app, address in the network and weight in the rotation."""

    app: str
    host: str
    port: int
    weight: int

    def __post_init__(self) -> None:
        """Refuse what could mean something else to nginx in its configuration."""
        if not APP_NAME.fullmatch(self.app):
            raise ValueError(f"{self.app!r} is not a valid app name")
        if not _HOST.fullmatch(self.host):
            raise ValueError(f"{self.host!r} is not a valid host name")
        if not 0 < self.port < 65536:  # noqa: PLR2004 - the valid ports
            raise ValueError(f"{self.port!r} is not a port")
        if self.weight < 0:
            raise ValueError(f"{self.weight!r} is not a weight")

    @property
    def address(self) -> str:
        """Host and port, as nginx writes them."""
        return f"{self.host}:{self.port}"

    @property
    def route(self) -> str:
        """The server's own name for `sticky route`, of which nginx allows 32 characters."""
        return sha256(self.address.encode()).hexdigest()[:12]


def render(servers: Sequence[Server], weights: Mapping[str, int]) -> str:
    """Write the upstream block, and the map by which nginx's log names the app that answered.

    `$pick` (nginx/njs/rotation.js) names the server of a request by its `route`. The weights are
    for requests that this one has failed, which nginx passes on by a rotation of its own; other
    weights of the same servers (`same_servers`) count there from the next reload on. A server
    of weight 0 is `down`, since nginx has no weight 0. With `max_fails=0` nginx itself ejects no
    server: it would do so for a large header, and return a share slowly. `resolve` follows a
    container whose address changes.

    Args:
        servers: every server with its own weight in the rotation.
        weights: weight of each app, as in the config.
    """
    lines = [_server(server) for server in sorted(servers)]
    ports = sorted({(server.app, server.port) for server in servers})
    return "\n".join(
        [
            "# Written by `pulumi up`, which restores it if it is edited by hand.",
            f"upstream {UPSTREAM} {{",
            f"    zone {UPSTREAM} 512k;",
            "    sticky route $pick;",
            *(f"    {line}" for line in lines),
            "    keepalive 64;",
            "}",
            "",
            "# The port of the last server that a request was passed to identifies the app.",
            "map $upstream_addr $app {",
            '    default "";',
            *(f'    "~:{port}$" {app}; # weight {weights[app]:d}' for app, port in ports),
            "}",
            "",
        ]
    )


def split(weights: Mapping[str, int], servers: Mapping[str, Sequence[tuple[str, int]]]) -> str:
    """Write the route that gives apps their shares, whatever their numbers of servers.

    Args:
        weights: weight of each app, not all 0.
        servers: host and port of each app's servers; the same apps, at least one server each.
    """
    each = shares.server_weights(weights, {app: len(own) for app, own in servers.items()})
    every = [
        Server(app, host, port, each[app]) for app, own in servers.items() for host, port in own
    ]
    return render(every, weights)


def reweighted(text: str, weights: Mapping[str, int]) -> str | None:
    """Write the route that the program would write for other weights and the same servers.

    Args:
        text: the route in force.
        weights: weight of each app; the servers of an app that is missing here are left out.

    Returns:
        The text; None where no server would get requests, or an app with a weight has no server.
    """
    names = apps(text)
    servers: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for address in addresses(unstaged(text)):
        host, _, port = address.rpartition(":")
        app = names.get(port)
        if app is None:
            return None
        if app in weights:
            servers[app].append((host, int(port)))
    found = {app: weights[app] for app in sorted(servers)}
    if not any(found.values()) or any(weights[app] for app in weights.keys() - found.keys()):
        return None
    return split(found, servers)


def same_servers(one: str, other: str) -> bool:
    """Tell whether two routes differ by weights above 0 alone."""
    return _WEIGHT.sub("", one) == _WEIGHT.sub("", other)


def _server(server: Server) -> str:
    share = f"weight={server.weight}" if server.weight else "down"
    return f"server {server.address} {share} max_fails=0 route={server.route} resolve;"


def addresses(text: str) -> set[str]:
    """Find the servers (`host:port`) that a route names."""
    return {f"{host}:{port}" for host, port in _SERVER.findall(text)}


def weights(text: str) -> dict[str, int]:
    """Find the weight of each server in the rotation by its address, in a hand-edited route too.

    A server that is `down` gets 0, and so does a `backup` while others answer; nginx's own
    default is 1. The weights of a server that is listed twice are added up.
    """
    found: dict[str, int] = {}
    for address, *words in _servers(text):
        stated = _parameter(words, "weight=")
        weight = int(stated) if stated.isdecimal() else 1
        out = not {"down", "backup"}.isdisjoint(words)
        found[address] = found.get(address, 0) + (0 if out else weight)
    return found


def _servers(text: str) -> Iterator[list[str]]:
    """Find the address and the parameters of each server, in a hand-edited route too."""
    block = _BLOCK.search(re.sub(r"#.*", "", text))
    for directive in block[1].split(";") if block else ():
        words = directive.split()
        if len(words) > 1 and words[0] == "server":
            yield words[1:]


def _parameter(words: Iterable[str], name: str) -> str:
    """Find the value of a parameter; the last one counts, and without any it is empty."""
    return ["", *(word.removeprefix(name) for word in words if word.startswith(name))][-1]


def apps(text: str) -> dict[str, str]:
    """Find the app that listens on each port, from the map for nginx's log."""
    return {port: app for port, app, _ in _APP.findall(text)}


def version(text: str) -> str:
    """Compute the version of a route from its content: 12 hexadecimal digits."""
    return sha256(text.encode()).hexdigest()[:12]


def table(text: str, changed: float) -> dict[str, Any]:
    """Describe a route to nginx's metrics, which cannot read the configuration themselves.

    Args:
        text: the route.
        changed: when it was put in force, in seconds since the epoch.

    Returns:
        The content of route.json: `version`, `changed`, `ports` (the app that listens on
        each), `apps`, each with its `name`, `weight` and `servers` (`host:port`), `rotation`, the
        table from which nginx picks a server, and `routes`, each server's name for `sticky route`.
    """
    found = sorted((app, port, weight) for port, app, weight in _APP.findall(text))
    servers = weights(text)
    rotation = shares.rotation(servers)

    def describe(app: str, port: str, weight: str) -> dict[str, Any]:
        own = [address for address in sorted(servers) if address.endswith(f":{port}")]
        stated = int(weight) if weight else sum(servers[address] for address in own)
        return {"name": app, "weight": stated, "servers": own}

    return {
        "version": version(text),
        "changed": changed,
        "ports": {port: app for app, port, _ in found},
        "apps": [describe(*one) for one in found],
        "rotation": {
            "servers": list(rotation.servers),
            "bounds": list(rotation.bounds),
            "total": rotation.total,
            "stride": rotation.stride,
        },
        "routes": {address: _parameter(words, "route=") for address, *words in _servers(text)},
    }


def serving(text: str) -> bool:
    """Tell whether a route has a server that is not `down`."""
    return re.search(r"^\s*server\s+(?!.*\bdown\b)[^;]+;", text, re.MULTILINE) is not None


def staged(current: str, newcomers: Iterable[str]) -> str | None:
    """Add servers to a route without giving them requests yet.

    nginx resolves a name only after its new workers have started, and until then a server that is
    new to it does not exist for it. Once it is listed as `down`, its address is carried over into
    the next configuration, and no request meets an upstream without servers.

    Args:
        current: the text of a route; an earlier staging in it is replaced.
        newcomers: addresses (`host:port`) of the servers that the route does not have yet.

    Returns:
        The text, with a listener on STAGING_PORT that passes /0, /1 ... to the newcomers' health
        check in sorted order; None where the current text has no upstream block to add to.
    """
    current = unstaged(current).removesuffix("\n") + "\n"
    opening = _OPENING.search(current)
    hosts = sorted(newcomers)
    if not opening:
        return None
    downs = "".join(f"    server {host} down resolve;\n" for host in hosts)
    text = current[: opening.end()] + downs + current[opening.end() :]
    locations = ""
    for number, host in enumerate(hosts):
        group = f"staged_{number}"
        text += f"upstream {group} {{ zone {group} 64k; server {host} resolve; }}\n"
        locations += f"    location = /{number} {{ proxy_pass http://{group}/healthz; }}\n"
    # The Host header of the container's own health check.
    listener = (
        f"    listen 127.0.0.1:{STAGING_PORT};\n"
        "    access_log off;\n"
        "    proxy_set_header Host localhost;\n"
    )
    return f"{text}server {{\n{listener}{locations}}}\n"


def unstaged(text: str) -> str:
    """Remove what `staged` has added, which stays when a change is killed half-way."""
    return _STAGED.sub("", text)
