"""The analysis of a step: what a window of requests says of the apps that gain share."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from math import exp, lgamma

from loadbalancer.config import units
from loadbalancer.config.model import RolloutSettings
from loadbalancer.formats import duration
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.histogram import Histogram
from loadbalancer.metrics.reading import Reading
from loadbalancer.metrics.window import AppWindow, Window, since
from loadbalancer.rollout.environment import Environment, Event
from loadbalancer.rollout.errors import RollbackTriggered
from loadbalancer.rollout.plan import shares
from loadbalancer.rollout.record import Progress

SIGNIFICANCE = 0.001
"""Probability with which a healthy app may be taken for a worse one in one comparison."""
_TWICE = 2
"""An answer counts as slow in a comparison from this multiple of the other apps' p99."""
_RESET = "counters were reset"


class Outcome(Enum):
    """The result of a check; an inconclusive one has too little to judge by."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True)
class Rules:
    """Limits of a healthy app: error rate (0 to 1), p99 (seconds), and requests of a verdict."""

    max_error_rate: float = 0.01
    max_p99: float = 0.5
    min_samples: int = 100
    compare: bool = False

    @classmethod
    def from_settings(cls, settings: RolloutSettings) -> "Rules":
        """Take the limits from settings."""
        return cls(
            max_error_rate=float(units.parse_percentage(settings.max_error_rate)),
            max_p99=float(units.parse_duration(settings.max_p99)),
            min_samples=settings.min_samples,
            compare=settings.compare,
        )


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check, the reasons, and the figures of the apps that were judged."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()
    figures: str = ""

    @property
    def text(self) -> str:
        """The reasons and the figures as one line."""
        reasons = ", ".join(self.reasons)
        return f"{reasons} ({self.figures})" if reasons and self.figures else reasons + self.figures


def judge(window: Window, rules: Rules, apps: Collection[str]) -> Verdict:
    """Judge some apps by what happened in a window.

    A sample is an attempt at a server of an app, also where nginx retried with another app and the
    client noticed nothing. With fewer samples than the minimum for one of the apps the check is
    inconclusive, whatever they were; so it is when nginx's counters were reset.
    """
    figures = describe(window, apps)
    if window.reset:
        return Verdict(Outcome.INCONCLUSIVE, (_RESET,), figures)
    missing = [f"no metrics of {app}" for app in sorted(apps) if app not in window.apps]
    few = [
        f"{app} has {samples(window.apps[app])} of {rules.min_samples} samples"
        for app in sorted(apps)
        if app in window.apps and samples(window.apps[app]) < rules.min_samples
    ]
    if missing or few:
        return Verdict(Outcome.INCONCLUSIVE, (*missing, *few), figures)
    faults = tuple(chain.from_iterable(_faults(app, window, rules, apps) for app in sorted(apps)))
    return Verdict(Outcome.FAILED if faults else Outcome.PASSED, faults, figures)


def samples(app: AppWindow) -> int:
    """Count the samples of an app."""
    return max(app.requests, sum(app.attempts.values()))


def describe(window: Window, apps: Collection[str]) -> str:
    """Write the figures of apps as people read them."""
    return "; ".join(_figures(app, window.apps[app]) for app in sorted(apps) if app in window.apps)


def _figures(name: str, app: AppWindow) -> str:
    words = [f"{name}: {app.requests} requests"]
    if app.requests:
        words += [f"{_rate(app.error_rate)} errors", f"p99 {duration(app.p99)}"]
    if app.failed_attempts:
        words.append(f"{app.failed_attempts} failed attempts")
    return ", ".join(words)


def _faults(name: str, window: Window, rules: Rules, apps: Collection[str]) -> Iterator[str]:
    app = window.apps[name]
    attempts = sum(app.attempts.values())
    limit = _rate(rules.max_error_rate)
    if app.error_rate is not None and app.error_rate > rules.max_error_rate:
        yield f"{name} failed {_rate(app.error_rate)} of {app.requests} requests, limit {limit}"
    if attempts and app.failed_attempts / attempts > rules.max_error_rate:
        rate = _rate(app.failed_attempts / attempts)
        yield f"{rate} of {attempts} attempts at {name} failed, limit {limit}"
    if app.p99 is not None and app.p99 > rules.max_p99:
        yield f"{name}'s p99 is {duration(app.p99)}, limit {duration(rules.max_p99)}"
    others = [one for other, one in window.apps.items() if other not in apps]
    if rules.compare and sum(other.requests for other in others) >= rules.min_samples:
        yield from _worse(name, app, others)


def _worse(name: str, app: AppWindow, others: Collection[AppWindow]) -> Iterator[str]:
    """Compare an app with all others together: its errors, and its slow answers."""
    errors, requests = (sum(o.errors for o in others), sum(o.requests for o in others))
    if significantly_more(app.errors, app.requests, errors, requests):
        rates = f"{_rate(app.error_rate)} of its requests, the others {_rate(errors / requests)}"
        yield f"{name} failed {rates}"
    durations = [one.request_duration for one in others]
    bounds = app.request_duration.bounds
    if any(one.bounds != bounds for one in durations):
        return
    counts = tuple(sum(column) for column in zip(*(one.counts for one in durations), strict=True))
    usual = Histogram(bounds, counts).quantile(0.99)
    if usual is None:
        return
    above = sum(1 for bound in bounds if bound < _TWICE * usual) + 1
    slow, other_slow = sum(app.request_duration.counts[above:]), sum(counts[above:])
    if significantly_more(slow, app.requests, other_slow, requests):
        yield (
            f"{name} answered {slow} of {app.requests} requests more slowly than twice the "
            f"others' p99 of {duration(usual)}"
        )


def significantly_more(hits: int, total: int, other_hits: int, other_total: int) -> bool:
    """Tell whether the rate of hits is higher than another beyond chance.

    Fisher's exact test, one-sided, which is valid for small numbers as for large: the probability
    of so many of all the hits or more, if both had the same rate, is below SIGNIFICANCE.
    """
    if not total or not other_total or hits * other_total <= other_hits * total:
        return False
    every, all_hits = total + other_total, hits + other_hits
    ways = _log_choose(every, all_hits)
    tail = (
        exp(_log_choose(total, number) + _log_choose(other_total, all_hits - number) - ways)
        for number in range(hits, min(total, all_hits) + 1)
    )
    return sum(tail) < SIGNIFICANCE


def _log_choose(n: int, k: int) -> float:
    """Logarithm of the number of ways to choose k of n."""
    if not 0 <= k <= n:
        return float("-inf")
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _rate(fraction: float | None) -> str:
    return "no" if fraction is None else f"{100 * fraction:.2f}%"


def judged_apps(progress: Progress) -> frozenset[str]:
    """Name the apps that gain share; if none does, those of the target.

    An app that loses share is not judged: a rollback would give it more.
    """
    before, target = shares(progress.before), shares(progress.target)
    gaining = {app for app, share in target.items() if share > before.get(app, 0)}
    return frozenset(gaining or {app for app, share in target.items() if share})


class Watcher:
    """Checks one step at every interval; each check with a verdict opens a new window.

    So no request counts twice, and failed checks in a row are that many windows, each with the
    minimum of samples. The window of an inconclusive check stays open.
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
        self._streak = 0
        self._trouble = "not checked yet"
        self.passed = False
        """Whether the last check with a verdict passed."""
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
            self._emit(Verdict(Outcome.INCONCLUSIVE, (_RESET,)))
        if self._opened is None:
            self._first, self._opened = self._first or reading, reading
            return
        window = since(self._opened, reading)
        verdict = judge(window, self._rules, self._apps)
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            self._opened = reading
            self.passed = verdict.outcome is Outcome.PASSED
            self._streak = 0 if self.passed else self._streak + 1
        self._emit(verdict, window)
        limit = self._progress.settings.failure_limit
        if self._streak >= limit:
            last = f"{limit} checks in a row failed, the last because"
            raise RollbackTriggered(
                f"{'a check failed because' if limit == 1 else last} {verdict.text}"
            )

    def _emit(self, verdict: Verdict, window: Window | None = None) -> None:
        self._trouble = "" if verdict.outcome is Outcome.PASSED else verdict.text
        self._environment.emit(
            Event(
                kind=f"check {verdict.outcome.value}",
                time=self._environment.now(),
                text=verdict.text,
                step=self._progress.step + 1,
                weights=self._progress.weights,
                window=window,
                streak=self._streak,
            )
        )
