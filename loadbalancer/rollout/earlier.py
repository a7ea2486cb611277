"""Which earlier update one goes back to, and with which weights. Pure."""

from collections.abc import Collection, Mapping, Sequence

from loadbalancer.rollout.errors import RolloutError, UsageError
from loadbalancer.state.history import Update, last_stable


def find(history: Sequence[Update], number: int | None, present: Mapping[str, int]) -> Update:
    """Find an update by its number, or without one the last that was stable with other shares.

    Raises:
        UsageError: when there is no such number.
        RolloutError: when nothing can be gone back to.
    """
    if number is None:
        found = last_stable(history, present)
        if found is None:
            raise RolloutError(
                "no earlier update was stable and had other shares. See: make history"
            )
        return found
    for update in history:
        if update.number == number:
            if not update.succeeded or not update.weights or not any(update.weights.values()):
                raise RolloutError(f"update {number} is none that weights can be taken from")
            return update
    raise UsageError(f"there is no update {number}. See: make history")


def weights(update: Update, present: Mapping[str, int], folders: Collection[str]) -> dict[str, int]:
    """Take the weights of an update for the apps that there are now.

    Args:
        update: one that has weights.
        present: weights in the config.
        folders: apps that have a folder.

    Raises:
        RolloutError: when the update gave a share to an app whose folder is gone.
    """
    then = dict(update.weights or {})
    gone = sorted(app for app, weight in then.items() if weight and app not in folders)
    if gone:
        raise RolloutError(
            f"update {update.number} needs {gone[0]}, and there is no folder apps/{gone[0]}"
        )
    every = then.keys() | present.keys()
    return {app: then.get(app, 0) for app in sorted(every) if app in folders}
