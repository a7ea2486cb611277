"""What happens in a rollout, as it is told to whoever looks on; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadbalancer.metrics.window import Window


@dataclass(frozen=True)
class Event:
    """One thing that happened: its kind, when (seconds since the epoch), and what to say of it.

    `step` counts from 1, `weights` are in force, `window` is what a check looked at, and `streak`
    how many checks have failed in a row.
    """

    kind: str
    time: float
    text: str
    step: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    window: Window | None = None
    streak: int = 0
