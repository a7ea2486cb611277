"""Repair: bring a stack back to its desired state after an interrupted update or manual changes.

Pulumi detects a container that is gone and a hand-edited route. It does not detect one that is
paused, unhealthy or disconnected from its network, a port that is dead, nor orphans; these are
repaired here, and so is whatever can be restored without replacing anything.
"""

from collections.abc import Callable

from loadbalancer import engine
from loadbalancer.drift import actual, failed, orphans
from loadbalancer.drift.restore import restore
from loadbalancer.engine import Client
from loadbalancer.state import deployment, lock
from loadbalancer.state.deployment import Desired
from loadbalancer.state.identity import Identity
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi

Report = Callable[[str], None]


class RepairError(RuntimeError):
    """The stack cannot be repaired now; the message says why and what to do."""


def repair(project: Project, stack: str, report: Report, *, force: bool = False) -> None:
    """Release a stale lock, repair in place what can be, refresh, and update the stack.

    Args:
        project: the project.
        stack: the stack's name.
        report: called with each line of progress; Pulumi prints its own.
        force: release the lock also where its holder may still be running, and create everything
            again where the engine has nothing of the stack.

    Raises:
        RepairError: when another update may be running, or the stack is on another engine.
        LockedError: the same, on a backend that does not tell who holds its locks.
        StackNotFoundError: when the backend has no such stack.
        PulumiError: when Pulumi fails.
        EngineError: when no engine answers.
    """
    desired = deployment.read(project, stack)
    pulumi = Pulumi(project.folder)
    if project.file_backend is not None:
        _release_locks(project, stack, report, force=force)
    elif force:
        pulumi.run("cancel", "--yes", stack=stack)
    elif desired.recorded:
        _expect_no_lock(project, stack, pulumi)
    client = engine.connect()
    if actual.is_elsewhere(client, desired) and not force:
        # Pulumi would forget what the other engine has, and it would run on there.
        raise RepairError(
            f"the Docker engine {engine.location()} has nothing of stack {stack}. Select the one "
            "that has it, by DOCKER_HOST or a context, or create everything again: "
            f"./lb repair --force --stack {stack}"
        )
    # Orphans come first, since one may hold a port or a name that the stack needs.
    identity = Identity(project, stack, desired.recorded)
    for orphan in list(orphans.find(client, identity, desired.known)):
        report(f"removing {orphan.kind} {orphan.name}, which is not in the Pulumi state")
        orphan.remove(client)
    _retag(client, desired, report)
    broken = restore(client, desired, report)
    for text in failed.tried_again(client, desired, broken):
        report(text)
    pulumi.show("refresh", "--yes", "--skip-preview", "--clear-pending-creates", stack=stack)
    replace = [f"--replace={urn}" for urn in broken]
    pulumi.show("up", "--yes", "--skip-preview", *replace, stack=stack)


def _expect_no_lock(project: Project, stack: str, pulumi: Pulumi) -> None:
    """Find out whether a stack is locked, on a backend that does not tell who holds its locks.

    Raises:
        LockedError: when an update holds the stack, which may be running.
    """
    owner, name = project.qualified(stack)
    # It needs the lock, and looks at nothing on the engine.
    root = f"urn:pulumi:{name}::{owner}::pulumi:pulumi:Stack::{owner}-{name}"
    options = ("--yes", "--skip-preview", "--clear-pending-creates", "--target", root)
    pulumi.run("refresh", *options, stack=stack)


def _release_locks(project: Project, stack: str, report: Report, *, force: bool) -> None:
    """Remove the locks of updates that were killed; with `force`, all locks.

    Raises:
        RepairError: when an update holds the stack, which may be running.
    """
    for holder in lock.holders(project, stack):
        if holder.lives() and not force:
            raise RepairError(
                f"stack {stack} is locked by an update that may be running: {holder}. Wait for "
                f"its end, or release its lock: ./lb repair --force --stack {stack}"
            )
        report(f"releasing the stale lock of {holder}")
        lock.release(holder)


def _retag(client: Client, desired: Desired, report: Report) -> None:
    """Restore the names of images, so that none is built again and no container is replaced."""
    for image in desired.images:
        found = actual.images(client, [image.name, image.id])
        if found.get(image.name) != image.id and image.id in found:
            report(f"tagging image {image.name} again")
            repository, _, tag = image.name.rpartition(":")
            client.api.tag(image.id, repository, tag)
