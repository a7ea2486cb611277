"""Rollback to the weights of an earlier update, without a rollout."""

from collections.abc import Collection, Mapping, Sequence

from loadbalancer.rollout.errors import RolloutError, UpdateError, UsageError
from loadbalancer.rollout.stack_environment import StackEnvironment
from loadbalancer.state import message
from loadbalancer.state.history import Update, last_stable
from loadbalancer.state.message import Kind, Message, format_weights


def roll_back_to(
    environment: StackEnvironment, stack: str, folders: Collection[str], number: int | None
) -> str:
    """Set the weights of an earlier update and run `pulumi up`.

    Args:
        environment: the stack's.
        stack: its name.
        folders: apps that have a folder.
        number: the update; by default the last stable one with other shares.

    Returns:
        What was done, as a sentence.

    Raises:
        UsageError: when there is no such update.
        RolloutError: when its weights cannot be used, or the update fails.
    """
    settings, updates = environment.file.settings(), environment.history.all()
    found = find(updates, number, settings.weights, stack)
    weights = weights_of(found, settings.weights, folders)
    text = f"Rolled back to update {found.number}: {format_weights(weights)}, "
    text += f"from {format_weights(settings.weights)}."
    undoes = (found.number + 1, updates[-1].number) if found is not updates[-1] else None
    environment.set_weights(weights)
    try:
        environment.up(message.write(Message(text, Kind.ROLLED_BACK, "", environment.user, undoes)))
    except UpdateError as error:
        again = f"Run it again: ./lb up --stack {stack}"
        raise RolloutError(f"the update failed: {error}. {again}") from error
    return text


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
