"""Repair: bring a stack back to its desired state after an interrupted update or manual changes.

Pulumi detects a container that is gone and a hand-edited route. It does not detect one that is
paused, unhealthy or disconnected from its network, nor orphans; these are repaired here, and so is
whatever can be restored without replacing anything.
"""

from collections.abc import Callable

from loadbalancer import engine
from loadbalancer.drift import actual, orphans
from loadbalancer.engine import APIError, Client, container
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.state import deployment, lock
from loadbalancer.state.deployment import Desired, DesiredContainer
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi

Report = Callable[[str], None]

_STEPS: dict[str, tuple[str, Callable[[Client, str], None]]] = {
    "paused": ("unpausing", lambda client, id_: client.api.unpause(id_)),
    "exited": ("starting", lambda client, id_: client.api.start(id_)),
    "created": ("starting", lambda client, id_: client.api.start(id_)),
}
"""What makes a container run again, by its status."""

_HEALTH_TIMEOUT = 60.0
"""Seconds that the containers may take to become healthy before they are replaced."""


class RepairError(RuntimeError):
    """The stack cannot be repaired now; the message says why and what to do."""


def repair(project: Project, stack: str, report: Report, *, force: bool = False) -> None:
    """Release a stale lock, repair in place what can be, refresh, and update the stack.

    Args:
        project: the project.
        stack: the stack's name.
        report: called with each line of progress; Pulumi prints its own.
        force: release the lock also where its holder may still be running.

    Raises:
        RepairError: when another update is running.
        StackNotFoundError: when the backend has no such stack.
        PulumiError: when Pulumi fails.
        EngineError: when no engine answers.
    """
    desired = deployment.read(project, stack)
    pulumi = Pulumi(project.folder)
    for holder in lock.holders(project, stack):
        if holder.lives() and not force:
            raise RepairError(
                f"process {holder.pid} on {holder.host} has been updating stack {stack} since "
                f"{holder.since}. Wait for its end, or release its lock: "
                f"./lb repair --force --stack {stack}"
            )
        report(f"releasing the stale lock of process {holder.pid}")
    pulumi.run("cancel", "--yes", stack=stack)
    client = engine.connect()
    # Orphans come first, since one may hold a port or a name that the stack needs.
    for orphan in list(orphans.find(client, project.name, stack, desired.known)):
        report(f"removing {orphan.kind} {orphan.name}, which is not in the Pulumi state")
        orphan.remove(client)
    _retag(client, desired, report)
    unhealthy = _restore(client, desired, report)
    pulumi.show("refresh", "--yes", "--skip-preview", "--clear-pending-creates", stack=stack)
    replace = [f"--replace={urn}" for urn in unhealthy]
    pulumi.show("up", "--yes", "--skip-preview", *replace, stack=stack)


def _retag(client: Client, desired: Desired, report: Report) -> None:
    """Restore the names of images, so that none is built again and no container is replaced."""
    for image in desired.images:
        found = actual.images(client, [image.name, image.id])
        if found.get(image.name) != image.id and image.id in found:
            report(f"tagging image {image.name} again")
            repository, _, tag = image.name.rpartition(":")
            client.api.tag(image.id, repository, tag)


def _restore(client: Client, desired: Desired, report: Report) -> list[str]:
    """Start and reconnect containers, and wait for their health checks.

    Returns:
        URNs of those that exist but do not become healthy, and have to be replaced.
    """
    existing = [one for one in desired.containers if container.inspect(client, one.id)]
    started = set()
    for one in existing:
        try:
            if _start(client, one, report):
                started.add(one.id)
        except APIError as error:
            report(f"{one.name}: {error.explanation}")

    def undecided(one: DesiredContainer) -> bool:
        now = container.inspect(client, one.id)
        if now is None or now.works:
            return False
        # Health checks of a paused container have failed; that stays until the next one.
        return one.id in started or bool({"starting", "restarting"} & {now.status, now.health})

    def look() -> object:
        return [one.name for one in existing if undecided(one)] or None

    try:
        Wait(_HEALTH_TIMEOUT, 0.2).until("the containers' health checks", look)
    except WaitTimeoutError as error:
        report(str(error))
    now = {one.urn: container.inspect(client, one.id) for one in existing}
    return [urn for urn, found in now.items() if found and not found.works]


def _start(client: Client, desired: DesiredContainer, report: Report) -> bool:
    """Connect a container to its networks and make it run; returns whether it did not run."""
    now = container.inspect(client, desired.id)
    if now is None:
        return False
    for network in sorted(desired.networks.keys() - now.networks):
        report(f"connecting {desired.name} to network {network}")
        aliases = list(desired.networks[network]) or None
        client.api.connect_container_to_network(desired.id, network, aliases=aliases)
    if now.status not in _STEPS:
        return False
    verb, step = _STEPS[now.status]
    report(f"{verb} {desired.name}")
    step(client, desired.id)
    return True
