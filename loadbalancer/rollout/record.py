"""How far a rollout is: the record that stands in the stack's config and outlives the process."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from loadbalancer.config.model import RolloutSettings
from loadbalancer.rollout import choice
from loadbalancer.rollout.blend import between
from loadbalancer.rollout.plan import Plan

KEY = "loadbalancer-rollout:progress"
"""Its key, in a namespace that the program does not read."""


class Phase(StrEnum):
    """What the rollout is about."""

    BEGUN = "begun"
    STEP = "step"
    CLOSING = "closing"
    BACK = "back"


class State(StrEnum):
    """Whether it goes on by itself: held ones have no process, or one that is about to end."""

    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"


class Holder(BaseModel):
    """The process at work; `started` tells it from a later one of the same number."""

    user: str
    host: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}"


class Progress(BaseModel):
    """A rollout that has not ended.

    `before` are the weights it began with, `weights` those it has set last, `step` counts from 0.
    `updates` is how many the stack's history held when it began: every later one must be its own.
    `config` holds a digest of each of the stack's other values, `since` is in seconds since the
    epoch, `reason` says why it is held or goes back, and `figures` what the last step showed.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    settings: RolloutSettings
    before: dict[str, int]
    weights: dict[str, int]
    updates: int
    config: dict[str, str]
    holder: Holder
    since: float
    phase: Phase = Phase.BEGUN
    state: State = State.RUNNING
    step: int = 0
    reason: str = ""
    figures: str = ""

    @property
    def target(self) -> dict[str, int]:
        """The weights that it goes to."""
        return dict(self.settings.to)

    @property
    def plan(self) -> Plan:
        """Its steps."""
        return choice.chosen(self.settings)

    def weights_of(self, step: int) -> dict[str, int]:
        """Weights of a step, by its index."""
        return between(self.before, self.target, self.plan[step].part)

    def write(self) -> str:
        """Write it as JSON."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def read(text: str) -> Progress:
    """Read what write() wrote.

    Raises:
        ValueError: when it is something else, such as what a later version or a hand wrote.
    """
    try:
        return Progress.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{KEY} is no record of a rollout: {where} {first['msg']}") from None
