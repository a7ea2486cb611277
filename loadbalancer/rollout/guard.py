"""Has anybody else changed the stack since the rollout did? Looks, and never overwrites."""

from collections.abc import Mapping

from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout.environment import World
from loadbalancer.rollout.errors import HeldError
from loadbalancer.rollout.record import Progress
from loadbalancer.state.history import foreign, same
from loadbalancer.state.message import weights as written


def check(world: World, progress: Progress) -> None:
    """Compare the config and the history with what the rollout wrote itself.

    Raises:
        HeldError: when they differ, saying in what.
    """
    record = world.record()
    if record is None:
        raise HeldError("the record of the rollout was taken out of the config", ours=False)
    if record.id != progress.id or record.holder != progress.holder:
        raise HeldError(f"{record.holder} has taken the rollout over", ours=False)
    check_config(world, progress)
    update = foreign(world.updates(progress.updates), progress.id)
    if update:
        by = f" by {update.who}" if update.who else ""
        raise HeldError(f"somebody else ran an update{by}: number {update.number}")


def check_config(world: World, progress: Progress) -> None:
    """Compare the config alone.

    Raises:
        HeldError: when it differs from what the rollout found and wrote.
    """
    weights = world.weights()
    if dict(weights) != progress.weights:
        raise HeldError(
            f"somebody else set the weights to {written(weights)} in the config, "
            f"where the rollout had set {written(progress.weights)}"
        )
    changed = _changed(progress.config, world.config())
    if changed:
        raise HeldError(f"somebody else changed {', '.join(changed)} in the config")


def check_route(reading: Reading, progress: Progress) -> None:
    """Compare the weights that nginx has.

    Raises:
        HeldError: when they come to other shares than the rollout's.
    """
    found = {app: one.weight for app, one in reading.apps.items() if one.weight is not None}
    if found and not same(found, progress.weights):
        raise HeldError(f"somebody else gave nginx the weights {written(found)}")


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
