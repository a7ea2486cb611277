"""The status of a rollout, as its record tells it to commands that only look.

It imports neither pydantic nor the plan, so that `./lb rollout status` answers at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from loadbalancer.rollout.control import Holder
from loadbalancer.state.config_file import RECORD_KEY
from loadbalancer.state.message import SECRET, format_weights


class State(StrEnum):
    """Whether a rollout continues by itself; a halted one has no process, or one about to end."""

    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"


@dataclass(frozen=True)
class RolloutStatus:
    """How far a rollout is.

    `weights` are those it has set last, `step` counts from 1, `since` is in seconds since the
    epoch, and `reason` says why it is halted or rolls back. `position` is how many steps have been
    entered. Weights that are encrypted in the config, `secret`, are not shown.
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
    position: int = 0
    secret: bool = False

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
                position=record.get("step", 0) + 1 if record.get("phase") else 0,
                secret=record.get("secret", False),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{RECORD_KEY} is not the record of a rollout: {error!r}") from None

    def interrupted(self) -> str:
        """Describe a rollout that no process runs."""
        how = f"halted: {self.reason}" if self.state is State.HALTED else "interrupted"
        return (
            f"A rollout to {self.show(self.target)} by {self.holder} was {how}, "
            f"at step {self.step} of {self.steps} with {self.show(self.weights)}"
        )

    def show(self, weights: Mapping[str, int]) -> str:
        """Write weights, unless they are secret."""
        return SECRET if self.secret else format_weights(weights)

    def report(self, stack: str, *, running: bool) -> str:
        """Write the status in lines; `running` tells whether a process runs the rollout."""
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        course = f"from {self.show(self.before)} to {self.show(self.target)}"
        place = f"step {self.step} of {self.steps}, now {self.show(self.weights)}"
        now = f"It is {self.state.value}." if running else f"{self.interrupted()}. {fix(stack)}"
        return (
            f"Rollout {self.id} of {stack} since {since}, by {self.holder}:\n"
            f"{course}, {place}.\n{now}"
        )


def for_programs(text: str, *, secret: bool, running: bool) -> str:
    """Write a record as `./lb rollout status --json` prints it, without weights that are secret."""
    found = {**json.loads(text), "running": running}
    if secret:
        hidden = ("before", "weights")
        found = {key: value for key, value in found.items() if key not in hidden}
        found["settings"] = {**found["settings"], "to": None}
    return json.dumps(found)


def fix(stack: str) -> str:
    """Name the commands that continue an interrupted rollout, or roll it back."""
    resume, abort = (f"./lb rollout {verb} --stack {stack}" for verb in ("resume", "abort"))
    return f"Continue it: {resume}; roll it back: {abort}"


def fix_by_force(stack: str, overwritten: str) -> str:
    """Name the command that rolls back over what somebody else changed."""
    return f"Roll back and overwrite {overwritten}: ./lb rollout abort --force --stack {stack}"
