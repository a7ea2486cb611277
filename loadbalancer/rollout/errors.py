"""How a rollout ends, and the errors on the way."""

from enum import IntEnum


class Ending(IntEnum):
    """Exit codes of `./lb rollout`; 1 is an error and 2 wrong usage."""

    REACHED = 0
    ROLLED_BACK = 3
    HALTED = 4


class RolloutError(RuntimeError):
    """The command cannot be carried out; the message says why and what to do."""


class UsageError(RolloutError):
    """Wrong usage: an option is missing or invalid."""


class AlreadyRunningError(RuntimeError):
    """Another process runs a rollout of the stack."""


class UpdateError(RuntimeError):
    """An update, or a change of the config, failed; the message is Pulumi's."""


class BusyError(UpdateError):
    """Another update of the stack is running."""


class RolloutHalted(Exception):
    """The rollout stops where it is.

    `ours` tells whether the record is still its own, and `overwritten` what `abort --force` would
    overwrite and `resume` would not accept, if there is anything.
    """

    def __init__(self, reason: str, *, ours: bool = True, overwritten: str = "") -> None:
        super().__init__(reason)
        self.ours = ours
        self.overwritten = overwritten


class RollbackTriggered(Exception):
    """The rollout returns to the weights before it, for the reason in the message."""
