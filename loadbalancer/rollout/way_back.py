"""The way back of a rollout, which also has to be found while the engine or Pulumi fails."""

from loadbalancer.rollout.control import Answer
from loadbalancer.rollout.errors import RolloutHalted, UpdateError
from loadbalancer.rollout.journal import Journal
from loadbalancer.rollout.record import Phase
from loadbalancer.rollout.status import State
from loadbalancer.state.message import Kind

_POLL = 1.0
"""Seconds between two looks whether the operator has halted the rollout."""
ROLLBACK_WAITS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0)
"""Seconds before each further attempt at a rollback; then it halts."""
ROLLBACK_TIMEOUT = 300.0
"""Seconds after which the update of a rollback, which starts no container, counts as stalled."""


class WayBack:
    """Leads a rollout back to the weights before it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._announced = False

    def run(self, reason: str) -> None:
        """Return to the weights before the rollout: in the config, in nginx and in the state.

        It is attempted again, with growing waits, where the engine or Pulumi fails or stalls.
        """
        waits = iter(ROLLBACK_WAITS)
        while True:
            try:
                return self._attempt(reason)
            except UpdateError as error:
                # While Pulumi fails, the sick app should get no more requests all the same.
                self._journal.environment.reroute(self._journal.progress.before)
                wait = next(waits, None)
                if wait is None:
                    attempts = 1 + len(ROLLBACK_WAITS)
                    raise RolloutHalted(
                        f"the rollback failed {attempts} times, the last time because {error}"
                    ) from error
                self._journal.emit(
                    "waiting", f"the rollback failed, next attempt in {wait:g} s: {error}"
                )
                self._wait(wait)

    def _wait(self, seconds: float) -> None:
        until = self._journal.environment.now() + seconds
        while self._journal.environment.now() < until:
            if self._journal.environment.interruption() is Answer.HALT:
                raise RolloutHalted(f"halted by {self._journal.environment.user} in its rollback")
            self._journal.environment.sleep(_POLL)

    def _attempt(self, reason: str) -> None:
        journal = self._journal
        environment, progress = journal.environment, journal.progress
        try:
            journal.check_unchanged()
        except RolloutHalted as error:
            raise RolloutHalted(
                f"{error}; not rolled back although {reason}",
                ours=error.ours,
                overwritten=error.overwritten,
            ) from error
        if not self._announced:
            before, target = progress.show(progress.before), progress.show(progress.target)
            journal.emit("rolling back", f"to {before}: {reason}")
            self._announced = True
        journal.save(
            progress.before,
            phase=Phase.ROLLING_BACK,
            reason=reason,
            state=State.RUNNING,
            weights=dict(progress.before),
        )
        # Ahead of the update, which takes seconds, and after the record, by which a later process
        # knows whose weights these are.
        environment.reroute(progress.before)
        before, target = progress.show(progress.before), progress.show(progress.target)
        title = progress.title(progress.step)
        text = f"Rolled back to {before} from {title} to {target}: {reason}."
        journal.up(text, Kind.ROLLED_BACK, ROLLBACK_TIMEOUT)
        environment.forget()
        journal.emit("rolled back", text)
