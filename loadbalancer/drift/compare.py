"""A stack as declared against what there really is, in words; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loadbalancer.drift import actual as reality
from loadbalancer.drift.actual import Real
from loadbalancer.nginx import shares, upstream
from loadbalancer.state import deployment as declaration
from loadbalancer.state.deployment import Declared

_MISSING = "is not there"
_STATUS = {
    "created": "was never started",
    "exited": "is stopped",
    "dead": "is stopped",
    "restarting": "ends again and again",
}
"""How a container is that does not run; any other status of Docker's is a word of its own."""
_HEALTH = {"starting": "is not healthy yet", "unhealthy": "is not healthy"}


@dataclass(frozen=True)
class Row:
    """One thing: what it is, as declared, as it is, and in words what differs, if anything."""

    what: str
    declared: str
    real: str
    difference: str = ""


def compare(declared: Declared, real: Real) -> list[Row]:
    """Compare everything that is declared, and list what there is beyond that."""
    rows: list[Row] = []
    for container in sorted(declared.containers, key=lambda one: one.name):
        rows += _container(container, real.containers.get(container.id))
    rows += _route(declared.route, real.route) if declared.route else []
    rows += _files(declared.files, real.files) if declared.files else []
    for image in declared.images:
        rows.append(_image(image, real.images.get(image.name)))
    rows += (_presence("network", name, real.networks) for name in sorted(declared.networks))
    rows += (_presence("volume", name, real.volumes) for name in sorted(declared.volumes))
    for title in declared.replaced:
        rows.append(Row(title, "replaced", "not removed yet", "was replaced, but not removed"))
    for orphan in real.orphans:
        title = f"{orphan.kind} {orphan.name}"
        rows.append(Row(title, "nothing", "there", "carries the labels, but no state knows it"))
    for operation in declared.unfinished:
        rows.append(Row(operation, "finished", "begun", "an update was cut off, or still runs"))
    return rows


def _container(declared: declaration.Container, real: reality.Container | None) -> Iterator[Row]:
    title = f"container {declared.name}"
    wanted = f"running, healthy, image {_short(declared.image)}"
    if real is None:
        yield Row(title, wanted, "nothing", _MISSING)
    else:
        differences = []
        if real.status != "running":
            differences.append(_STATUS.get(real.status, f"is {real.status}"))
        elif not real.works:
            differences.append(_HEALTH.get(str(real.health), f"is {real.health}"))
        if real.image != declared.image:
            differences.append("runs another image")
        for network in sorted(declared.networks.keys() - real.networks):
            differences.append(f"has left network {network}")
        yield Row(title, wanted, _state(real), ", ".join(differences))
    for port in sorted(declared.ports):
        published = real is not None and port in real.ports
        title = f"port {port.external}"
        if published:
            yield Row(title, str(port), str(port))
        else:
            yield Row(title, str(port), "nothing", f"does not lead to {declared.name}")


def _state(container: reality.Container) -> str:
    words = [container.status]
    if container.health and container.status == "running":
        words.append(container.health)
    words.append(f"image {_short(container.image)}")
    if container.restarts:
        times = "once" if container.restarts == 1 else f"{container.restarts} times"
        words.append(f"restarted {times}")
    return ", ".join(words)


def _route(declared: declaration.Route, text: str | None) -> Iterator[Row]:
    """Compare the shares of each app and each server, and whatever else a hand can change."""
    if text is None:
        yield Row("route", "in force", "nothing", "nginx's container, which holds it, is not there")
        text = ""
    elif text != declared.text:
        yield Row("route", "in force", "another", _edit(declared.text, text))
    else:
        yield Row("route", "in force", "in force")
    wanted, found = upstream.weights(declared.text), upstream.weights(text)
    apps = upstream.apps(declared.text)
    wanted_shares, found_shares = _by_app(wanted, apps), _by_app(found, apps)
    for app in sorted(wanted_shares | found_shares):
        yield _share(f"share of {app}", wanted_shares.get(app), found_shares.get(app))
    wanted_shares, found_shares = _percentages(wanted), _percentages(found)
    for server in sorted(wanted_shares | found_shares):
        yield _share(f"share of {server}", wanted_shares.get(server), found_shares.get(server))


def _files(declared: declaration.Files, real: Mapping[str, str] | None) -> Iterator[Row]:
    """Name each of nginx's files that is not as declared, or say of all that they are."""
    wanted, found = declared.digests, real or {}
    if found == wanted:
        yield Row("nginx's files", f"{len(wanted)} in force", f"{len(found)} in force")
    elif not found:
        yield Row("nginx's files", f"{len(wanted)} in force", "nothing", "are not in force")
    else:
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                yield _file(name, wanted.get(name), found.get(name))


def _file(name: str, wanted: str | None, found: str | None) -> Row:
    difference = "was edited"
    if found is None:
        difference = _MISSING
    elif wanted is None:
        difference = "is there, but not declared"
    return Row(f"nginx's {name}", wanted or "nothing", found or "nothing", difference)


def _share(title: str, wanted: float | None, found: float | None) -> Row:
    difference = ""
    if found is None:
        difference = "is not in the route"
    elif wanted is None:
        difference = "is in the route, but not declared"
    elif found != wanted:
        difference = f"gets {_percent(found)} instead of {_percent(wanted)}"
    return Row(title, _percent(wanted), _percent(found), difference)


def _edit(declared: str, text: str) -> str:
    """Name one line that somebody changed."""
    if not text.strip():
        return "is not in force"
    before, after = declared.splitlines(), text.splitlines()
    for line in after:
        if line not in before:
            return f"was edited; it has the line: {line.strip()}"
    for line in before:
        if line not in after:
            return f"was edited; it lacks the line: {line.strip()}"
    return "was edited; its lines have another order or number"


def _by_app(weights: Mapping[str, int], apps: Mapping[str, str]) -> dict[str, float]:
    """Add up the weights of each app's servers; a server of no app stands for itself alone."""
    sums: Counter[str] = Counter()
    for server, weight in weights.items():
        app = apps.get(server.rpartition(":")[2])
        if app:
            sums[app] += weight
        else:
            sums["no app"] += weight
    return _percentages(sums)


def _percentages(weights: Mapping[str, int]) -> dict[str, float]:
    if not any(weights.values()):
        return dict.fromkeys(weights, 0.0)
    return shares.percentages(weights)


def _percent(share: float | None) -> str:
    return "nothing" if share is None else f"{share:g} %"


def _image(declared: declaration.Image, real: str | None) -> Row:
    difference = ""
    if real is None:
        difference = _MISSING
    elif real != declared.id:
        difference = "leads to another image"
    found = _short(real) if real else "nothing"
    return Row(f"image {declared.name}", _short(declared.id), found, difference)


def _presence(kind: str, name: str, there: frozenset[str]) -> Row:
    if name in there:
        return Row(f"{kind} {name}", "there", "there")
    return Row(f"{kind} {name}", "there", "nothing", _MISSING)


def _short(image: str) -> str:
    """Write an image's ID as Docker lists it."""
    return image.removeprefix("sha256:")[:12]
