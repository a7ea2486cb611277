"""The record of a rollout, which is kept in the stack's config and outlives the process."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError, computed_field

from loadbalancer.config.model import RolloutSettings
from loadbalancer.config.units import format_percentage
from loadbalancer.rollout.control import Holder
from loadbalancer.rollout.plan import Plan, interpolate, plan_from_settings
from loadbalancer.rollout.status import State
from loadbalancer.state.config_file import RECORD_KEY
from loadbalancer.state.message import SECRET, format_weights


class Phase(StrEnum):
    """What the rollout does next."""

    STARTED = "started"
    STEP = "step"
    CLOSING = "closing"
    ROLLING_BACK = "rolling back"


class Progress(BaseModel):
    """A rollout that has not ended.

    `before` are the weights at its start, `weights` those it has set last, and `step` is the index
    of the present step. `updates` is the number of the last update before it, and `updated` when
    that began: every later one must be its own. `secret` says that the weights are encrypted in
    the config, and must not be shown. `config` holds a digest of each other value of the stack's
    config, `reason` says why it is halted or rolls back, and `figures` are those of the last step.
    Times (`updated`, `since`) are in seconds since the epoch.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    settings: RolloutSettings
    before: dict[str, int]
    weights: dict[str, int]
    updates: int
    config: dict[str, str]
    holder: Holder
    since: float
    phase: Phase = Phase.STARTED
    state: State = State.RUNNING
    step: int = 0
    reason: str = ""
    figures: str = ""
    updated: float = 0.0
    secret: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def steps(self) -> int:
        """Number of steps, for those who read the record without the plan."""
        return len(self.plan)

    @property
    def target(self) -> dict[str, int]:
        """Weights that it goes to."""
        return dict(self.settings.to)

    @cached_property
    def plan(self) -> Plan:
        """Its steps."""
        return plan_from_settings(self.settings)

    @property
    def position(self) -> int:
        """How many steps have been entered."""
        return 0 if self.phase is Phase.STARTED else self.step + 1

    @property
    def shown_weights(self) -> dict[str, int]:
        """Weights that it has set last, for a view; none if they are secret."""
        return {} if self.secret else dict(self.weights)

    def show(self, weights: Mapping[str, int]) -> str:
        """Write weights, unless they are secret."""
        return SECRET if self.secret else format_weights(weights)

    def weights_of(self, step: int) -> dict[str, int]:
        """Return the weights of a step, by its index."""
        return interpolate(self.before, self.target, self.plan[step].fraction)

    @property
    def course(self) -> str:
        """Its start and its target."""
        return f"from {self.show(self.before)} to {self.show(self.target)}"

    @property
    def overview(self) -> str:
        """Its start, its target and its steps."""
        steps = ", ".join(format_percentage(step.fraction) for step in self.plan)
        return f"{self.course}, steps {steps} of the way"

    def title(self, step: int) -> str:
        """Name a step, by its index: "step 2 of 5 (10%)"."""
        percentage = format_percentage(self.plan[step].fraction)
        return f"step {step + 1} of {len(self.plan)} ({percentage})"

    def hook_environment(self, when: str, step: int) -> dict[str, str]:
        """Return the variables that a hook gets, besides those of this process.

        Args:
            when: "before" or "after" the step.
            step: the step's index.
        """
        fraction = self.plan[step].fraction
        return {
            "ROLLOUT_ID": self.id,
            "ROLLOUT_WHEN": when,
            "ROLLOUT_STEP": str(step + 1),
            "ROLLOUT_STEPS": str(len(self.plan)),
            "ROLLOUT_PERCENT": format_percentage(fraction).removesuffix("%"),
            "ROLLOUT_WEIGHTS": format_weights(self.weights_of(step)),
            "ROLLOUT_BEFORE": format_weights(self.before),
            "ROLLOUT_TARGET": format_weights(self.target),
            "ROLLOUT_FIGURES": self.figures if when == "after" else "",
        }

    def write(self) -> str:
        """Write it as JSON."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def read(text: str) -> Progress:
    """Read what `Progress.write` wrote.

    Raises:
        ValueError: when the text is something else, such as what another version wrote.
    """
    try:
        return Progress.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        reason = f"{where} {first['msg']}".strip()
        raise ValueError(f"{RECORD_KEY} is not the record of a rollout: {reason}") from None
