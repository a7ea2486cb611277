"""Changes by somebody else during a rollout, which it finds and never overwrites."""

from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout.environment import Environment
from loadbalancer.rollout.errors import RolloutHalted
from loadbalancer.rollout.record import Progress
from loadbalancer.state.history import foreign, same


def check_unchanged(environment: Environment, progress: Progress) -> None:
    """Compare the config and the history with what the rollout itself wrote.

    Raises:
        RolloutHalted: when somebody else changed one of them; it is not overwritten.
        UpdateError: when Pulumi cannot tell.
    """
    record = environment.record()
    if record is None:
        raise RolloutHalted(
            "the record of the rollout was removed from the config",
            ours=False,
            overwritten="the weights in the config",
        )
    if record.id != progress.id or record.holder != progress.holder:
        raise RolloutHalted(f"{record.holder} has taken the rollout over", ours=False)
    weights = environment.weights()
    if dict(weights) != progress.weights:
        raise RolloutHalted(
            f"somebody else set the weights to {progress.show(weights)} in the config, "
            f"where the rollout had set {progress.show(progress.weights)}",
            overwritten="these weights",
        )
    before, now = progress.config, environment.config()
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        raise RolloutHalted(f"somebody else changed {', '.join(changed)} in the config")
    known = environment.updates(progress.updates - 1)
    last = [(one.number, one.time.timestamp()) for one in known[:1]]
    if last != [(progress.updates, progress.updated)]:
        raise RolloutHalted(
            f"update {progress.updates}, the last one before the rollout, is not in the history "
            "any more, so that an update by somebody else cannot be told from its own"
        )
    update = foreign(known[1:], progress.id)
    if update:
        by = f" by {update.who}" if update.who else ""
        raise RolloutHalted(f"somebody else ran an update{by}: number {update.number}")


def check_route(reading: Reading, progress: Progress) -> None:
    """Compare the weights that nginx serves by with those of the rollout.

    Raises:
        RolloutHalted: when somebody else gave nginx other weights; it is not overwritten.
    """
    weights = {name: app.weight for name, app in reading.apps.items()}
    found = {name: weight for name, weight in weights.items() if weight is not None}
    if found and not same(found, progress.weights):
        raise RolloutHalted(f"somebody else gave nginx the weights {progress.show(found)}")
