"""Takeover: this process becomes the holder of a rollout that another one has begun."""

from loadbalancer.rollout.control import this_process
from loadbalancer.rollout.errors import RolloutError, RolloutHalted, UpdateError
from loadbalancer.rollout.record import Progress
from loadbalancer.rollout.stack_environment import StackEnvironment
from loadbalancer.rollout.status import State, fix_by_force
from loadbalancer.state.history import foreign


def run(environment: StackEnvironment, progress: Progress) -> None:
    """Become the holder; what others changed is accepted, except other weights.

    Raises:
        RolloutError: when the updates of the stack do not end, or cannot be read.
        RolloutHalted: when somebody else set other weights.
    """
    try:
        environment.wait_for_updates()
    except UpdateError as error:
        raise RolloutError(str(error)) from error
    present = dict(environment.weights())
    if present != progress.weights:
        stack = environment.stack_name
        raise RolloutHalted(
            f"somebody else set the weights to {progress.show(present)}. Set them back to "
            f"{progress.show(progress.weights)}, or keep them: "
            f"./lb rollout abort --keep --stack {stack}. " + fix_by_force(stack, "them")
        )
    _accept_changes(environment, progress)
    environment.save(progress)


def run_by_force(environment: StackEnvironment, progress: Progress) -> None:
    """Become the holder, accept what others changed, and set the weights before the rollout."""
    environment.wait_for_updates()
    _accept_changes(environment, progress)
    progress.weights = dict(progress.before)
    environment.save(progress, progress.before)


def _accept_changes(environment: StackEnvironment, progress: Progress) -> None:
    """Become the holder of a rollout, and take its config and history as they are now."""
    progress.holder, progress.config = this_process(), environment.config()
    known = environment.updates(progress.updates - 1)
    first = [(one.number, one.time.timestamp()) for one in known[:1]]
    if first != [(progress.updates, progress.updated)] or foreign(known[1:], progress.id):
        for last in environment.updates(0)[-1:]:
            progress.updates, progress.updated = last.number, last.time.timestamp()
    progress.state = State.RUNNING
