"""Going back to the weights of an earlier update, without a rollout."""

from collections.abc import Mapping

from loadbalancer.config.apps import AppFolder
from loadbalancer.rollout import earlier
from loadbalancer.rollout.environment import UpdateError
from loadbalancer.rollout.errors import RolloutError
from loadbalancer.rollout.realworld import RealWorld, as_config
from loadbalancer.state import message
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.message import weights as written


def go_back(
    world: RealWorld, stack: str, folders: Mapping[str, AppFolder], number: int | None
) -> str:
    """Set the weights of an earlier update and bring them up.

    Args:
        world: the stack's.
        stack: its name.
        folders: the apps that there are now.
        number: the update; by default the last stable one with other shares.

    Returns:
        What was done, in words.

    Raises:
        RolloutError: when there is no such update, or it could not be gone back to.
    """
    settings, every = world.file.settings(), world.history.all()
    found = earlier.find(every, number, settings.weights)
    weights = earlier.weights(found, settings.weights, folders)
    text = f"Went back to update {found.number}: {written(weights)}, "
    text += f"from {written(settings.weights)}."
    undoes = (found.number + 1, every[-1].number) if found is not every[-1] else None
    world.set_all(as_config(weights))
    try:
        world.up(message.write(Message(text, Kind.BACK, "", world.user, undoes)))
    except UpdateError as error:
        again = f"Try again: make up STACK={stack}"
        raise RolloutError(f"the update failed: {error}. {again}") from error
    return text
