"""The comparison of a stack's desired with its actual resources."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from loadbalancer.drift import restore
from loadbalancer.drift.actual import Actual
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.engine.container import Container
from loadbalancer.nginx import shares, upstream
from loadbalancer.state.deployment import (
    Desired,
    DesiredContainer,
    DesiredFiles,
    DesiredImage,
    DesiredRoute,
)

NOTHING = "-"
"""What a row has where there is nothing desired, or nothing actual."""

_MISSING = "not found"
_STATUS = {
    "created": "never started",
    "exited": "stopped",
    "dead": "stopped",
    "restarting": "crash-looping",
}
"""The difference of a container that does not run, where it is not Docker's own word."""
_HEALTH = {"starting": "not healthy yet", "unhealthy": "unhealthy"}


@dataclass(frozen=True)
class Row:
    """One resource: its name, the desired and the actual state, and the difference, if any."""

    name: str
    desired: str
    actual: str
    difference: str = ""


def compare(desired: Desired, actual: Actual) -> list[Row]:
    """Compare everything that is desired, and list what is there beyond that."""
    rows: list[Row] = []
    for container in sorted(desired.containers, key=lambda one: one.name):
        rows += _container(container, actual.containers.get(container.id))
    rows += (_answer(*one) for one in sorted(actual.answers.items(), key=lambda one: one[0]))
    rows += _route(desired.route, actual.route) if desired.route else []
    rows += _files(desired.files, actual.files) if desired.files else []
    for image in desired.images:
        rows.append(_image(image, actual.images.get(image.name)))
    for name, id_ in sorted(desired.networks.items()):
        row = _presence("network", name, actual.networks)
        if actual.networks.get(name, id_) != id_:
            row = replace(row, difference="another network of this name")
        rows.append(row)
    rows += (_presence("volume", name, actual.volumes) for name in sorted(desired.volumes))
    for title in desired.undeleted:
        rows.append(Row(title, "deleted", "exists", "replaced, but not deleted yet"))
    for orphan in actual.orphans:
        title = f"{orphan.kind} {orphan.name}"
        rows.append(Row(title, NOTHING, "exists", "orphan: not in the Pulumi state"))
    for name, (taken, network) in sorted(actual.namesakes.items()):
        fix = f"docker network disconnect {network} {name}"
        difference = f"gets requests for {taken} and is not repaired: {fix}"
        rows.append(Row(f"container {name}", NOTHING, "not of this stack", difference))
    for operation in desired.pending:
        rows.append(Row(operation, "finished", "pending", "update interrupted or still running"))
    return rows


def _container(desired: DesiredContainer, actual: Container | None) -> Iterator[Row]:
    title = f"container {desired.name}"
    state = f"running, healthy, image {_short(desired.image)}"
    if actual is None:
        yield Row(title, state, NOTHING, _MISSING)
    else:
        differences = []
        if actual.status != "running":
            differences.append(_STATUS.get(actual.status, actual.status))
        elif not actual.works:
            differences.append(_HEALTH.get(str(actual.health), str(actual.health)))
        if actual.image != desired.image:
            differences.append("runs another image")
        differences += restore.differences(desired, actual)
        differences += _volumes(desired, actual)
        yield Row(title, state, _state(actual), ", ".join(differences))
    for port in sorted(desired.ports):
        title = f"port {port.external}"
        if actual is not None and port in actual.ports:
            yield Row(title, str(port), str(port))
        else:
            yield Row(title, str(port), NOTHING, f"not published by {desired.name}")


def _volumes(desired: DesiredContainer, actual: Container) -> Iterator[str]:
    mounted = actual.details.volumes if actual.details else desired.volumes
    for path, volume in sorted(desired.volumes.items()):
        if mounted.get(path) != volume:
            yield f"volume {volume} not mounted at {path}"


def _answer(published: Published, answer: Answer) -> Row:
    actual = f"answers {answer.status}" if answer.status else answer.problem
    return Row(f"address {published.url}", "answers", actual, answer.problem)


def _state(container: Container) -> str:
    words = [container.status]
    if container.health and container.status == "running":
        words.append(container.health)
    words.append(f"image {_short(container.image)}")
    if container.details and container.details.restarts:
        restarts = container.details.restarts
        times = "once" if restarts == 1 else f"{restarts} times"
        words.append(f"restarted {times}")
    return ", ".join(words)


def _route(desired: DesiredRoute, text: str | None) -> Iterator[Row]:
    """Compare the shares of each app and each server, and everything else in the text."""
    if text is None:
        yield Row("route", "in force", NOTHING, "nginx's container not found")
        text = ""
    elif text != desired.text:
        yield Row("route", "in force", "another", _edit(desired.text, text))
    else:
        yield Row("route", "in force", "in force")
    before, now = upstream.weights(desired.text), upstream.weights(text)
    apps = upstream.apps(desired.text)
    for expected, found in (
        (_by_app(before, apps), _by_app(now, apps)),
        (_percentages(before), _percentages(now)),
    ):
        for name in sorted(expected | found):
            yield _share(f"share of {name}", expected.get(name), found.get(name))


def _files(desired: DesiredFiles, actual: Mapping[str, str] | None) -> Iterator[Row]:
    """List each of nginx's files that differs, or one row for all where none does."""
    expected, found = desired.digests, actual or {}
    if found == expected:
        yield Row("nginx files", f"{len(expected)} in force", f"{len(found)} in force")
    elif not found:
        yield Row("nginx files", f"{len(expected)} in force", NOTHING, "not in force")
    else:
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                yield _file(name, expected.get(name), found.get(name))


def _file(name: str, expected: str | None, found: str | None) -> Row:
    difference = "hand-edited"
    if found is None:
        difference = _MISSING
    elif expected is None:
        difference = "not in the Pulumi state"
    return Row(f"nginx file {name}", expected or NOTHING, found or NOTHING, difference)


def _share(title: str, expected: float | None, found: float | None) -> Row:
    difference = ""
    if found is None:
        difference = "not in the route"
    elif expected is None:
        difference = "not in the Pulumi state"
    elif found != expected:
        difference = f"{_percent(found)} instead of {_percent(expected)}"
    return Row(title, _percent(expected), _percent(found), difference)


def _edit(desired: str, text: str) -> str:
    """Name one line that was changed."""
    if not text.strip():
        return "not in force"
    before, after = desired.splitlines(), text.splitlines()
    for line in after:
        if line not in before:
            return f"hand-edited; additional line: {line.strip()}"
    for line in before:
        if line not in after:
            return f"hand-edited; missing line: {line.strip()}"
    return "hand-edited; lines moved or repeated"


def _by_app(weights: Mapping[str, int], apps: Mapping[str, str]) -> dict[str, float]:
    """Add up the weights of each app's servers; servers of no app count as "no app"."""
    sums: Counter[str] = Counter()
    for server, weight in weights.items():
        sums[apps.get(server.rpartition(":")[2], "no app")] += weight
    return _percentages(sums)


def _percentages(weights: Mapping[str, int]) -> dict[str, float]:
    if not any(weights.values()):
        return dict.fromkeys(weights, 0.0)
    return shares.percentages(weights)


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:g} %"


def _image(desired: DesiredImage, actual: str | None) -> Row:
    difference = ""
    if actual is None:
        difference = _MISSING
    elif actual != desired.id:
        difference = "name points to another image"
    found = _short(actual) if actual else NOTHING
    return Row(f"image {desired.name}", _short(desired.id), found, difference)


def _presence(kind: str, name: str, existing: Collection[str]) -> Row:
    if name in existing:
        return Row(f"{kind} {name}", "exists", "exists")
    return Row(f"{kind} {name}", "exists", NOTHING, _MISSING)


def _short(image: str) -> str:
    """Shorten an image's ID as Docker lists it."""
    return image.removeprefix("sha256:")[:12]
