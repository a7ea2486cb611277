"""Bringing a stack back to what is declared, whether an update or somebody's hand left it so."""

from collections.abc import Callable

from pulumi import automation

from loadbalancer import engine
from loadbalancer.drift import mending, orphans
from loadbalancer.state import deployment, lock

Report = Callable[[str], None]


class RepairError(RuntimeError):
    """The stack cannot be repaired now; the message says why and what to do."""


def repair(stack: automation.Stack, report: Report, *, force: bool = False) -> None:
    """Release a lock that nobody holds, put right what can be in place, and go up.

    Pulumi sees and mends a container that is gone and a route that was edited. It does not see
    one that is paused, sick or out of its network, nor what its state does not know; these are
    seen to here, as is whatever can be had back without replacing anything.

    Args:
        stack: the stack.
        report: told each line of progress.
        force: release the lock also where its holder may still be at work.

    Raises:
        RepairError: when somebody else's update is running.
    """
    project = stack.workspace.project_settings().name
    backend = stack.workspace.who_am_i().url
    for holder in lock.holders(backend or "", project, stack.name):
        if holder.lives() and not force:
            raise RepairError(
                f"process {holder.pid} on {holder.host} has been updating stack {stack.name} "
                f"since {holder.since}. Wait for its end, or take the lock from it: "
                f"make repair STACK={stack.name} FORCE=1"
            )
        report(f"releasing the lock of process {holder.pid}, which has ended")
    stack.cancel()
    wanted = deployment.read(stack.workspace, stack.name)
    client = engine.connect()
    # First of all, since an orphan may hold a port or a name that the stack needs.
    for orphan in list(orphans.find(client, project, stack.name, wanted.known)):
        report(f"removing {orphan.kind} {orphan.name}, which no state knows")
        orphan.remove()
    mending.retag(client, wanted, report)
    sick = mending.wake(client, wanted, report)
    stack.refresh(clear_pending_creates=True, on_output=report)
    stack.up(on_output=report, replace=sick or None)
