"""The environment of a rollout: everything that it does and reads outside itself."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from loadbalancer.config.model import RolloutSettings
from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import Window
from loadbalancer.rollout.control import Answer, Command, Reply
from loadbalancer.rollout.record import Progress
from loadbalancer.state.history import Update


@dataclass(frozen=True)
class Event:
    """Something that happened: its kind, when (seconds since the epoch), and a text.

    `step` counts from 1, `weights` are in force, `window` is what a check looked at, and `streak`
    is how many checks in a row have failed.
    """

    kind: str
    time: float
    text: str
    step: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    window: Window | None = None
    streak: int = 0


class View(Protocol):
    """Shows the events of one rollout."""

    def show(self, event: Event) -> None:
        """Show an event."""

    def quiet(self) -> AbstractContextManager[None]:
        """Leave the terminal to a question."""


class Terminal(Protocol):
    """Where commands print; `machine` asks for JSON."""

    @property
    def machine(self) -> bool:
        """Whether the output is for programs."""

    def view(self, settings: RolloutSettings) -> View:
        """Return a view of a rollout with these settings."""

    def say(self, text: str) -> None:
        """Print a text for people as it is."""


class Environment(Protocol):
    """The stack, nginx's counters, the operator, and the clock."""

    @property
    def stack_name(self) -> str:
        """Name of the stack, for the commands in messages."""

    @property
    def user(self) -> str:
        """Who runs the rollout, as user@host."""

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""

    def emit(self, event: Event) -> None:
        """Show an event."""

    def reading(self) -> Reading:
        """Read nginx's counters; raises MetricsError."""

    def probe(self, app: str) -> frozenset[str]:
        """Ask the servers of an app now; returns the paths of PROBED that at least one answered.

        Raises MetricsError where nginx cannot ask them.
        """

    def record(self) -> Progress | None:
        """Read the record of the rollout in the config; None without one.

        This and the next three raise UpdateError where Pulumi cannot tell, and RolloutHalted where
        the config cannot be read.
        """

    def weights(self) -> Mapping[str, int]:
        """Read the weights in the config, of every app that it deploys."""

    def config(self) -> dict[str, str]:
        """Return a digest of each other value of the config."""

    def updates(self, after: int) -> list[Update]:
        """List the updates with a higher number."""

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        """Write the record, and the weights with it, as one change of the config.

        Raises UpdateError.
        """

    def forget(self) -> None:
        """Remove the record from the config; raises UpdateError."""

    def up(self, message: str, timeout: float) -> None:
        """Bring the stack to its config within so many seconds; raises UpdateError."""

    def reroute(self, weights: Mapping[str, int]) -> None:
        """Give nginx these weights ahead of an update, if that is possible."""

    def hook(
        self, command: str, environment: Mapping[str, str], meanwhile: Callable[[], None]
    ) -> int:
        """Run a command, and call a function again and again meanwhile; returns the exit code.

        If that raises an error, the command is ended.
        """

    def command(self) -> Command | None:
        """Take the command of another terminal, once."""

    def reply(self, command: Command, reply: Reply) -> None:
        """Answer it."""

    def answer(self, question: str) -> bool | None:
        """Return the operator's answer to a question; None while there is none."""

    def interruption(self) -> Answer | None:
        """After Ctrl-C, ask the operator what to do; None when there was none, or no answer yet."""

    @property
    def asking(self) -> bool:
        """Whether that question waits for its answer."""
