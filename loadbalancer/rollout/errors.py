"""How a rollout can end; pure."""

from enum import IntEnum


class Ending(IntEnum):
    """Exit codes of `rollout`; 1 is an error, 2 wrong usage."""

    REACHED = 0
    ROLLED_BACK = 3
    HELD = 4


class RolloutError(RuntimeError):
    """It cannot be done; the message says why and what to do."""


class UsageError(RolloutError):
    """What was asked for cannot be."""


class HeldError(Exception):
    """The rollout stops where it is; `ours` says whether the record is still its own."""

    def __init__(self, reason: str, *, ours: bool = True) -> None:
        super().__init__(reason)
        self.ours = ours


class BackError(Exception):
    """The rollout goes back to the weights before it, for this reason."""
