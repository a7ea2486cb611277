"""Lost stacks: what a stack has left on the engine when its Pulumi state was lost.

Its containers may still serve. They cannot be adopted: Pulumi imports neither images that it built
nor the resources for nginx's files and route, and it would replace an imported container. So they
are removed when the user says so, and serve until the new stack has taken over their ports.
"""

from collections.abc import Callable, Iterable

from loadbalancer import engine
from loadbalancer.drift import orphans
from loadbalancer.drift.orphans import Orphan
from loadbalancer.engine import container
from loadbalancer.names import NETWORK
from loadbalancer.state import identity
from loadbalancer.state.project import Project

Report = Callable[[str], None]


class LostError(RuntimeError):
    """A stack has left something without a state; the message says what to do."""


def adoption_error(stack: str) -> LostError:
    """Say why containers of a lost state are not adopted, and what to do instead."""
    return LostError(
        "Pulumi cannot adopt these containers: it imports no image that it built itself, and "
        "would replace an imported container. Have a new stack take over from them: "
        f"./lb repair --stack {stack} --orphans remove"
    )


def find(project: Project, stack: str) -> list[Orphan]:
    """Find what a stack of this name has left, made in this checkout and in no state any more.

    Raises:
        EngineError: when no engine answers.
    """
    return orphans.lost(engine.connect(), identity.read(project, stack))


def find_all(project: Project) -> list[Orphan]:
    """Find what any stack has left that was made in this checkout. Errors are those of `find`."""
    return orphans.lost_of_checkout(engine.connect(), identity.Identity(project, ""))


def networks(left: Iterable[Orphan]) -> set[str]:
    """Name the networks of the containers among what is left."""
    ids = {one.id for one in left if one.kind == "container"}
    every = container.find(engine.connect(), with_label=NETWORK)
    return {one.labels[NETWORK] for one in every if one.id in ids}


def describe(left: Iterable[Orphan], stack: str, verb: str = "repair") -> str:
    """Name what is left, and the command that removes it."""
    every = ", ".join(f"{one.kind} {one.name}" for one in left)
    return (
        f"stack {stack} of this folder has left {every}, which no Pulumi state has any more. "
        f"Remove them: ./lb {verb} --stack {stack} --orphans remove"
    )


def remove(left: Iterable[Orphan], report: Report) -> None:
    """Remove what is left.

    Raises:
        EngineError: when the engine refuses.
    """
    client = engine.connect()
    for one in left:
        report(f"removing {one.kind} {one.name}")
        one.remove(client)
