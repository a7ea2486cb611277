"""The journal of a rollout: its record in the config, the messages of its updates, its events."""

from collections.abc import Mapping
from typing import Any

from loadbalancer.rollout.environment import Environment, Event
from loadbalancer.rollout.errors import RolloutHalted, UpdateError
from loadbalancer.rollout.interference import check_unchanged
from loadbalancer.rollout.record import Progress
from loadbalancer.state import message
from loadbalancer.state.message import Kind, Message


class Journal:
    """Writes down what a rollout does, in one environment."""

    def __init__(self, environment: Environment, progress: Progress) -> None:
        self.environment = environment
        self.progress = progress

    def check_unchanged(self) -> None:
        """Look for changes by somebody else; raises RolloutHalted and UpdateError."""
        check_unchanged(self.environment, self.progress)

    def save(self, new_weights: Mapping[str, int] | None = None, **changes: Any) -> None:
        """Change the record, here and in the config; if that fails, in neither.

        Raises:
            UpdateError: when it is not in the config.
        """
        environment, progress = self.environment, self.progress
        old = {name: getattr(progress, name) for name in changes}

        def put(values: Mapping[str, Any]) -> None:
            for name, value in values.items():
                setattr(progress, name, value)

        put(changes)
        try:
            environment.save(progress, new_weights)
        except UpdateError:
            # A command that stalled and was ended may have written it before.
            if not self._is_saved():
                put(old)
                raise

    def _is_saved(self) -> bool:
        try:
            return self.environment.record() == self.progress
        except (UpdateError, RolloutHalted):
            return False

    def up(self, text: str, kind: Kind, timeout: float) -> None:
        """Run an update with a message of the rollout; raises UpdateError."""
        environment, progress = self.environment, self.progress
        done = environment.updates(progress.updates) if kind is Kind.ROLLED_BACK else []
        undoes = (done[0].number, done[-1].number) if done else None
        trailers = Message(text, kind, progress.id, environment.user, undoes)
        environment.up(message.write(trailers), timeout)

    def emit(self, kind: str, text: str) -> None:
        """Show an event."""
        progress = self.progress
        now = self.environment.now()
        self.environment.emit(Event(kind, now, text, progress.step + 1, progress.shown_weights))
