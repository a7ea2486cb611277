"""Watching one step: window after window, until it has passed or must be taken back."""

from loadbalancer.config.units import parse_duration
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import Window, since
from loadbalancer.rollout import choice, guard, verdict
from loadbalancer.rollout.blend import shares
from loadbalancer.rollout.environment import World
from loadbalancer.rollout.errors import BackError
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.record import Progress
from loadbalancer.rollout.verdict import Outcome, Verdict


def judged(progress: Progress) -> frozenset[str]:
    """Name the apps that a rollout gives more, since new code is theirs; else all that it asks.

    An app that is given less is not judged: to go back to it would not help it.
    """
    before, target = shares(progress.before), shares(progress.target)
    gaining = {app for app, share in target.items() if share > before.get(app, 0)}
    return frozenset(gaining or {app for app, share in target.items() if share})


class Watcher:
    """Checks a step every interval; each check that says anything begins a new window.

    So no request counts twice, and checks that fail in a row are that many windows, each with the
    minimum of samples. A window that holds goes on until there are enough.
    """

    def __init__(self, world: World, progress: Progress) -> None:
        self._world = world
        self._progress = progress
        self._apps = judged(progress)
        self._rules = choice.rules(progress.settings)
        self._interval = float(parse_duration(progress.settings.interval))
        self._first: Reading | None = None
        self._opened: Reading | None = None
        self._last: Reading | None = None
        self._streak = 0
        self._passed = False
        self._trouble = ""
        self._next = world.now()

    @property
    def figures(self) -> str:
        """What the step has shown in all, of the apps that are judged."""
        if self._first is None or self._last is None:
            return "no metrics"
        return verdict.describe(since(self._first, self._last), self._apps)

    @property
    def trouble(self) -> str:
        """Why it has not passed yet."""
        return self._trouble or "not checked yet"

    @property
    def passed(self) -> bool:
        """Tell whether the last check that said anything was good."""
        return self._passed

    def check(self) -> None:
        """Check, if it is time to.

        Raises:
            HeldError: when somebody else has changed the stack.
            BackError: when it was bad too often in a row.
        """
        now = self._world.now()
        if now < self._next:
            return
        self._next = max(self._next + self._interval, now)
        guard.check(self._world, self._progress)
        try:
            reading = self._world.reading()
        except MetricsError as error:
            self._tell(Verdict(Outcome.HOLD, (f"no metrics: {error}",)))
            return
        guard.check_route(reading, self._progress)
        self._take(reading)

    def _take(self, reading: Reading) -> None:
        earlier, self._last = self._last, reading
        if earlier is not None and since(earlier, reading).reset:
            self._first = self._opened = None
            self._tell(Verdict(Outcome.HOLD, ("nginx began to count anew",)))
        if self._opened is None:
            self._first, self._opened = self._first or reading, reading
            return
        window = since(self._opened, reading)
        found = verdict.judge(window, self._rules, self._apps)
        if found.outcome is not Outcome.HOLD:
            self._opened = reading
            failed = found.outcome is Outcome.FAILED
            self._streak = self._streak + 1 if failed else 0
            self._passed = not failed
        self._tell(found, window)
        limit = self._progress.settings.failure_limit
        if self._streak >= limit:
            last = f"{limit} checks in a row failed, the last because"
            raise BackError(f"{'a check failed because' if limit == 1 else last} {found.text}")

    def _tell(self, found: Verdict, window: Window | None = None) -> None:
        self._trouble = "" if found.outcome is Outcome.PASSED else found.text
        self._world.emit(
            Event(
                kind=f"check {found.outcome.value}",
                time=self._world.now(),
                text=found.text,
                step=self._progress.step + 1,
                weights=self._progress.weights,
                window=window,
                streak=self._streak,
            )
        )
