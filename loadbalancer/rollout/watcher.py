"""The watcher of a step: checks the apps that gain share at every interval."""

from collections.abc import Callable

from loadbalancer.config import units
from loadbalancer.metrics import PROBE_TIMEOUT, MetricsError
from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import Window, since
from loadbalancer.rollout.analysis import (
    RESET,
    Outcome,
    Rules,
    Verdict,
    describe,
    judge,
    judged_apps,
    unanswered,
)
from loadbalancer.rollout.environment import Environment, Event
from loadbalancer.rollout.errors import RollbackTriggered
from loadbalancer.rollout.record import Progress

PROBED = ("/", "/healthz")
"""Paths of requests of the rollout's own. An app that answers with any status is alive."""


class Watcher:
    """Checks one step at every interval; each check with a verdict opens a new window.

    So no request counts twice, and failed checks in a row are that many windows. The window of an
    inconclusive check stays open.

    nginx counts a request when it has ended, so an app that hangs is not among its counters. Such
    an app fails a check in which no attempt has ended, if by the answers of the others it owes
    some, or if it does not answer a request of the rollout's own either.
    """

    def __init__(
        self, environment: Environment, progress: Progress, read: Callable[[], Reading]
    ) -> None:
        """Watch the present step; `read` reads the counters, and raises MetricsError."""
        self._environment = environment
        self._progress = progress
        self._read = read
        self._apps = judged_apps(progress)
        self._rules = Rules.from_settings(progress.settings)
        self._interval = float(units.parse_duration(progress.settings.interval))
        self._first: Reading | None = None
        self._opened: Reading | None = None
        self._last: Reading | None = None
        self._heard: dict[str, Reading] = {}
        self._streak = 0
        self._trouble = "not checked yet"
        self.passed = False
        """Whether the last check passed; after an inconclusive one it is not known."""
        self._next = environment.now()

    @property
    def figures(self) -> str:
        """Figures of the whole step, of the apps that are judged."""
        if self._first is None or self._last is None:
            return "no metrics"
        return describe(since(self._first, self._last), self._apps)

    @property
    def trouble(self) -> str:
        """Why the step has not passed yet."""
        return self._trouble or "its time is not over"

    def check(self) -> None:
        """Check the step, if the interval is over.

        Raises:
            RollbackTriggered: when too many checks in a row have failed.
        """
        now = self._environment.now()
        if now < self._next:
            return
        self._next = max(self._next + self._interval, now)
        try:
            reading = self._read()
        except MetricsError as error:
            self._emit(Verdict(Outcome.INCONCLUSIVE, (f"no metrics: {error}",)))
            return
        self._take(reading)

    def _take(self, reading: Reading) -> None:
        earlier, self._last = self._last, reading
        if earlier is not None and since(earlier, reading).reset:
            self._first = self._opened = None
            self._heard.clear()
            self._emit(Verdict(Outcome.INCONCLUSIVE, (RESET,)))
        if self._opened is None:
            self._first, self._opened = self._first or reading, reading
            self._heard = dict.fromkeys(self._apps, reading)
            return
        window = since(self._opened, reading)
        verdict = judge(window, self._rules, self._apps)
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            self._opened = reading
        silence = self._silence(reading, verdict.outcome)
        if silence:
            verdict = Verdict(Outcome.FAILED, (*silence, *verdict.reasons), verdict.figures)
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            self._streak = 0 if verdict.outcome is Outcome.PASSED else self._streak + 1
        self._emit(verdict, window)
        limit = self._progress.settings.failure_limit
        if self._streak >= limit:
            last = f"{limit} checks in a row failed, the last because"
            raise RollbackTriggered(
                f"{'a check failed because' if limit == 1 else last} {verdict.text}"
            )

    def _silence(self, reading: Reading, outcome: Outcome) -> tuple[str, ...]:
        """Find the apps of which no attempt has ended since the last check, and which hang."""
        weights = self._progress.weights
        found = []
        for app in sorted(self._apps):
            heard = self._heard.get(app)
            if heard is None or _ended(heard, reading, app):
                self._heard[app] = reading
            elif outcome is Outcome.INCONCLUSIVE and weights.get(app):
                window = since(heard, reading)
                why = unanswered(app, window, weights, self._rules) or self._probe(app, window)
                found += [why] if why else []
        return tuple(found)

    def _probe(self, app: str, window: Window) -> str | None:
        """Ask an app ourselves; return why it fails, None if it answers or cannot be asked."""
        # Where answers may take longer than that, one that is not there yet proves nothing alone.
        paths = PROBED[:1] if self._rules.max_p99 <= PROBE_TIMEOUT else PROBED
        try:
            answered = self._environment.probe(app)
        except MetricsError:
            return None
        if not answered.isdisjoint(paths):
            return None
        return (
            f"{app} has answered no request for {window.seconds:.0f} s, and does not answer "
            f"{' or '.join(paths)} within {PROBE_TIMEOUT:g} s"
        )

    def _emit(self, verdict: Verdict, window: Window | None = None) -> None:
        self.passed = verdict.outcome is Outcome.PASSED
        self._trouble = "" if self.passed else verdict.text
        self._environment.emit(
            Event(
                kind=f"check {verdict.outcome.value}",
                time=self._environment.now(),
                text=verdict.text,
                step=self._progress.step + 1,
                weights=self._progress.shown_weights,
                window=window,
                streak=self._streak,
            )
        )


def _ended(earlier: Reading, later: Reading, app: str) -> bool:
    """Tell whether attempts at an app have ended in between."""
    counts = [
        sum(one.apps[app].attempts.values()) if app in one.apps else 0 for one in (earlier, later)
    ]
    return counts[0] != counts[1]
