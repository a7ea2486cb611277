"""The status of a rollout, as its record tells it to commands that only look.

It imports neither pydantic nor the plan, so that `./lb rollout status` answers at once.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from loadbalancer.rollout.control import Holder
from loadbalancer.state.config_file import RECORD_KEY
from loadbalancer.state.message import format_weights


class State(StrEnum):
    """Whether a rollout continues by itself; a halted one has no process, or one about to end."""

    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"


@dataclass(frozen=True)
class RolloutStatus:
    """How far a rollout is.

    `weights` are those it has set last, `step` counts from 1, `since` is in seconds since the
    epoch, and `reason` says why it is halted or rolls back.
    """

    id: str
    before: dict[str, int]
    target: dict[str, int]
    weights: dict[str, int]
    step: int
    steps: int
    state: State
    reason: str
    since: float
    holder: Holder

    @classmethod
    def parse(cls, text: str) -> "RolloutStatus":
        """Read the record of a rollout.

        Raises:
            ValueError: when the text is something else.
        """
        try:
            record = json.loads(text)
            return cls(
                id=record["id"],
                before=record["before"],
                target=record["settings"]["to"],
                weights=record["weights"],
                step=record.get("step", 0) + 1,
                steps=record["steps"],
                state=State(record.get("state", State.RUNNING)),
                reason=record.get("reason", ""),
                since=float(record["since"]),
                holder=Holder(**record["holder"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{RECORD_KEY} is not the record of a rollout: {error!r}") from None

    def interrupted(self) -> str:
        """Describe a rollout that no process runs."""
        how = f"halted: {self.reason}" if self.state is State.HALTED else "interrupted"
        return (
            f"A rollout to {format_weights(self.target)} by {self.holder} was {how}, "
            f"at step {self.step} of {self.steps} with {format_weights(self.weights)}"
        )

    def report(self, stack: str, *, running: bool) -> str:
        """Write the status in lines; `running` tells whether a process runs the rollout."""
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        course = f"from {format_weights(self.before)} to {format_weights(self.target)}"
        place = f"step {self.step} of {self.steps}, now {format_weights(self.weights)}"
        now = f"It is {self.state.value}." if running else f"{self.interrupted()}. {fix(stack)}"
        return (
            f"Rollout {self.id} of {stack} since {since}, by {self.holder}:\n"
            f"{course}, {place}.\n{now}"
        )


def fix(stack: str) -> str:
    """Name the commands that continue an interrupted rollout, or roll it back."""
    resume, abort = (f"./lb rollout {verb} --stack {stack}" for verb in ("resume", "abort"))
    return f"Continue it: {resume}; roll it back: {abort}"
