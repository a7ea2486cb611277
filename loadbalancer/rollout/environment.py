"""Everything that a rollout does and asks for outside itself."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.record import Progress
from loadbalancer.state.history import Update


class Request(StrEnum):
    """What another terminal may ask of a rollout that runs."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    FINISH = "finish"
    ABORT = "abort"


class Answer(StrEnum):
    """What a person may say after Ctrl-C."""

    HOLD = "hold"
    GO_ON = "go on"
    BACK = "roll back"


class UpdateError(RuntimeError):
    """An update failed; the message is Pulumi's own."""


class BusyError(UpdateError):
    """Somebody else's update is running."""


class World(Protocol):
    """The stack, nginx's counters, the person, and time."""

    def now(self) -> float:
        """Tell the time, in seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass, fewer after a Ctrl-C."""

    def emit(self, event: Event) -> None:
        """Tell what happened to those who look on."""

    def reading(self) -> Reading:
        """Read nginx's counters; raises MetricsError."""

    def record(self) -> Progress | None:
        """Read the record of the rollout in the config; None without one."""

    def weights(self) -> Mapping[str, int]:
        """Read the weights in the config, of every app that is deployed by it."""

    def config(self) -> dict[str, str]:
        """Digest the config's other values, each by itself."""

    def updates(self, after: int) -> list[Update]:
        """List the updates that have a higher number."""

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        """Write the record, and with it the weights, into the config in one go."""

    def forget(self) -> None:
        """Take the record out of the config."""

    def up(self, message: str) -> None:
        """Bring the stack to its config; raises UpdateError."""

    def reroute(self, weights: Mapping[str, int]) -> None:
        """Give nginx these weights before an update does, as far as that can be."""

    def hook(self, command: str, environment: Mapping[str, str]) -> int:
        """Run a command; returns its exit code."""

    def request(self) -> Request | None:
        """Take what another terminal has asked, once."""

    def answered(self, question: str) -> bool | None:
        """Tell whether a person here has said yes or no to a question; None as long as neither."""

    def interrupted(self) -> Answer | None:
        """After a Ctrl-C, ask what to do; None when there was none."""

    @property
    def user(self) -> str:
        """Who is at work, as user@host."""
