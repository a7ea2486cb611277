"""Failed versions: containers that an update has created, and that did not come to serve."""

from collections.abc import Collection, Iterator

from loadbalancer import engine
from loadbalancer.engine import Client, container, failure
from loadbalancer.nginx import upstream
from loadbalancer.state import deployment, identity
from loadbalancer.state.deployment import Desired, DesiredContainer
from loadbalancer.state.project import Project


def not_started(project: Project, stack: str) -> Iterator[str]:
    """Explain which containers of a stack could not be started, after an update has failed.

    Of others the update itself says why they failed; of these it has only the engine's words.

    Raises:
        EngineError: when no engine answers.
        PulumiError: when the state cannot be read.
    """
    client, own = engine.connect(), identity.read(project, stack)
    route = deployment.read(project, stack).route
    serves = route is not None and upstream.serving(route.text)
    for one in container.find(client):
        if one.status == "created" and own.owns(one.labels):
            handle = client.containers.get(one.id)
            what = failure.find(handle)
            if what:
                now = "The version before keeps serving" if serves else "No version serves yet"
                yield f"{now}: {failure.describe(handle, what)}"


def tried_again(client: Client, desired: Desired, broken: Collection[str]) -> Iterator[str]:
    """Say which versions failed in an update before, and why, when they are deployed once more.

    Args:
        client: the engine that the containers run in.
        desired: what the stack's state describes.
        broken: URNs of the containers that are replaced.
    """
    for one in desired.containers:
        if one.urn in broken and not _has_served(desired, one):
            yield failure.again(client.containers.get(one.id))


def _has_served(desired: Desired, container: DesiredContainer) -> bool:
    """Tell whether a container was healthy once, so that the route has it, or is in it."""
    if desired.route and container.id == desired.route.container:
        return True
    aliases = (alias for one in container.networks.values() for alias in one)
    text = desired.route.text if desired.route else ""
    return any(f"server {name}:" in text for name in (container.name, *aliases))
