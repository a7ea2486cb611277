"""What the configuration says of rollouts; the options of the verb override it; pure."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from loadbalancer.config import units
from loadbalancer.config.values import Flag, Model, Weight, pairs, text, whole_number
from loadbalancer.rollout import plan


def _above_zero(text: str) -> None:
    if not units.seconds(text):
        raise ValueError("is no time at all")


def _step_numbers(text: str) -> None:
    if text != "all" and not re.fullmatch(r"[1-9]\d{0,3}( *, *[1-9]\d{0,3})*", text):
        raise ValueError("is neither a list of steps such as 1,3 nor all")


Duration = Annotated[str, text(_above_zero)]


class RolloutSettings(Model):
    """How the stack gets to other weights; what is None is not asked for.

    Percentages and durations stay text, such as `1%` and `500ms`, which has been checked.
    """

    to: Annotated[dict[str, Weight], BeforeValidator(pairs)] = Field(default_factory=dict)
    steps: Annotated[str, text(lambda text: plan.steps(text, 1))] | None = None
    linear: Annotated[str, text(plan.linear)] | None = None
    canary: Annotated[str, text(lambda text: plan.canary(text, 1))] | None = None
    at_once: Flag = False
    step_time: Duration = "30s"
    interval: Duration = "5s"
    max_error_rate: Annotated[str, text(units.percent)] = "1%"
    max_p99: Duration = "500ms"
    min_samples: Annotated[int, whole_number(1, 1_000_000)] = 100
    failure_limit: Annotated[int, whole_number(1, 1000)] = 3
    deadline: Duration = "10min"
    compare: Flag = False
    confirm: Annotated[str, text(_step_numbers)] | None = None
    hook: Annotated[str, Field(max_length=4096)] | None = None


def read_rollout(value: object) -> object:
    """Read an object or its JSON; lists inside it leave no room for `name=value,name=value`."""
    if isinstance(value, str) and not value.strip():
        return {}
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        raise PydanticCustomError("json", "is not a set of named values")
    return pairs(value)
