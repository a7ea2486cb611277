"""Rollback to the weights of an earlier update, without a rollout."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from loadbalancer.rollout.controller import UPDATE_TIMEOUT
from loadbalancer.rollout.errors import RolloutError, UpdateError, UsageError
from loadbalancer.rollout.stack_environment import StackEnvironment
from loadbalancer.state import message
from loadbalancer.state.history import Update, last_stable
from loadbalancer.state.message import SECRET, Kind, Message, format_weights


def prepare(
    updates: Sequence[Update],
    number: int | None,
    present: Mapping[str, int],
    folders: Collection[str],
    stack: str,
    *,
    secret: bool = False,
) -> tuple[dict[str, int], Message]:
    """Find the weights of a rollback, and write the message of its update.

    Args:
        updates: the stack's history, the oldest first.
        number: the update to return to; by default the last stable one with other shares.
        present: weights in the config.
        folders: apps that have a folder.
        stack: the stack's name.
        secret: whether weights are encrypted, so that the message must not hold them.

    Raises:
        UsageError: when there is no such update.
        RolloutError: when its weights cannot be used.
    """
    found = find(updates, number, present, stack)
    weights = weights_of(found, present, folders)
    to, now = (SECRET if secret else format_weights(one) for one in (weights, present))
    text = f"Rolled back to update {found.number}: {to}, from {now}."
    undoes = (found.number + 1, updates[-1].number) if found is not updates[-1] else None
    return weights, Message(text, Kind.ROLLED_BACK, undoes=undoes)


def run(
    environment: StackEnvironment, weights: Mapping[str, int], reason: Message, *, secret: bool
) -> None:
    """Set the weights of a rollback, and bring the stack to them.

    Args:
        environment: the stack.
        weights: those to return to.
        reason: the message of the update, still without who runs it.
        secret: whether the weights are encrypted in the config.

    Raises:
        RolloutError: when the update fails.
    """
    environment.set_weights(weights, secret=secret)
    try:
        environment.up(message.write(replace(reason, by=environment.user)), UPDATE_TIMEOUT)
    except UpdateError as error:
        again = f"Run it again: ./lb up --stack {environment.stack_name}"
        raise RolloutError(f"the update failed: {error}. {again}") from error


def find(
    updates: Sequence[Update], number: int | None, present: Mapping[str, int], stack: str
) -> Update:
    """Find an update by its number, or else the last stable one with other shares.

    Raises:
        UsageError: when no update has this number.
        RolloutError: when there is none to roll back to.
    """
    see = f"See: ./lb history --stack {stack}"
    if number is None:
        found = last_stable(updates, present)
        if found is None:
            raise RolloutError(f"no earlier update is stable and has other shares. {see}")
        return found
    for update in updates:
        if update.number == number:
            if not update.succeeded:
                raise RolloutError(f"update {number} did not bring the stack up. {see}")
            if not update.weights or not any(update.weights.values()):
                raise RolloutError(f"the weights of update {number} are not known. {see}")
            return update
    raise UsageError(f"update {number} not found. {see}")


def weights_of(
    update: Update, present: Mapping[str, int], folders: Collection[str]
) -> dict[str, int]:
    """Take the weights of an update, for the apps that exist now.

    Args:
        update: one with known weights.
        present: weights in the config.
        folders: apps that have a folder.

    Raises:
        RolloutError: when an app with a share in the update has no folder any more.
    """
    then = dict(update.weights or {})
    gone = sorted(app for app, weight in then.items() if weight and app not in folders)
    if gone:
        raise RolloutError(
            f"update {update.number} needs {gone[0]}, which has no folder apps/{gone[0]}"
        )
    every = then.keys() | present.keys()
    return {app: then.get(app, 0) for app in sorted(every) if app in folders}
