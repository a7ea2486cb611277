"""The verdict on a step: what a window of requests says of the apps that gain share."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from math import exp, lgamma

from loadbalancer.config import units
from loadbalancer.config.model import RolloutSettings
from loadbalancer.formats import duration
from loadbalancer.metrics.histogram import Histogram
from loadbalancer.metrics.window import AppWindow, Window
from loadbalancer.rollout.plan import shares
from loadbalancer.rollout.record import Progress

SIGNIFICANCE = 0.001
"""Probability with which a healthy app may be taken for a worse one in one comparison."""
_TWICE = 2
"""An answer counts as slow in a comparison from this multiple of the other apps' p99."""
EXPECTED = 7
"""Answers that an app owes, by its weight and the answers of the others, before their absence is
beyond chance: exp(-7) is below SIGNIFICANCE."""
_WAIT = 1.0
"""Seconds after which a client that gives up has waited for the app."""
RESET = "counters were reset"


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
    client noticed nothing. With fewer samples than the minimum an app fails if it failed most of
    them, or let most of them wait too long; else the check is inconclusive. So it is when nginx's
    counters were reset.
    """
    figures = describe(window, apps)
    if window.reset:
        return Verdict(Outcome.INCONCLUSIVE, (RESET,), figures)
    missing = [f"no metrics of {app}" for app in sorted(apps) if app not in window.apps]
    few = [
        f"{app} has {samples(window.apps[app])} of {rules.min_samples} samples"
        for app in sorted(apps)
        if app in window.apps and samples(window.apps[app]) < rules.min_samples
    ]
    known = [app for app in sorted(apps) if app in window.apps]
    faults = tuple(chain.from_iterable(_faults(app, window, rules, apps) for app in known))
    if faults:
        return Verdict(Outcome.FAILED, faults, figures)
    if missing or few:
        return Verdict(Outcome.INCONCLUSIVE, (*missing, *few), figures)
    return Verdict(Outcome.PASSED, (), figures)


def samples(app: AppWindow) -> int:
    """Count the samples of an app."""
    return max(app.requests, sum(app.attempts.values()))


def describe(window: Window, apps: Collection[str]) -> str:
    """Write the figures of apps as people read them."""
    return "; ".join(_figures(app, window.apps[app]) for app in sorted(apps) if app in window.apps)


def _figures(name: str, app: AppWindow) -> str:
    words = [f"{name}: {app.requests} requests"]
    if app.requests:
        words += [f"{_rate(app.error_rate)} errors", f"p99 {duration(app.app_p99)}"]
    if app.failed_attempts:
        words.append(f"{app.failed_attempts} failed attempts")
    return ", ".join(words)


def _faults(name: str, window: Window, rules: Rules, apps: Collection[str]) -> Iterator[str]:
    app = window.apps[name]
    if samples(app) < rules.min_samples:
        yield from _mostly(name, app, rules)
        return
    attempts = sum(app.attempts.values())
    limit = _rate(rules.max_error_rate)
    if app.error_rate is not None and app.error_rate > rules.max_error_rate:
        yield f"{name} failed {_rate(app.error_rate)} of {app.requests} requests, limit {limit}"
    if attempts and app.failed_attempts / attempts > rules.max_error_rate:
        rate = _rate(app.failed_attempts / attempts)
        yield f"{rate} of {attempts} attempts at {name} failed, limit {limit}"
    if app.app_p99 is not None and app.app_p99 > rules.max_p99:
        yield f"{name}'s p99 is {duration(app.app_p99)}, limit {duration(rules.max_p99)}"
    others = [one for other, one in window.apps.items() if other not in apps]
    if rules.compare and sum(other.requests for other in others) >= rules.min_samples:
        yield from _worse(name, app, others)


def _mostly(name: str, app: AppWindow, rules: Rules) -> Iterator[str]:
    """Find what is wrong with most of too few samples for the limits."""
    attempts = sum(app.attempts.values())
    half = app.header_duration.quantile(0.5)
    if 2 * app.errors > app.requests:
        yield f"{name} failed {app.errors} of {app.requests} requests"
    if 2 * app.failed_attempts > attempts:
        yield f"{app.failed_attempts} of {attempts} attempts at {name} failed"
    if half is None:
        return
    if half > rules.max_p99:
        yield f"{name} took more than {duration(rules.max_p99)} for most of {attempts} requests"
    elif not app.attempts.get("answered") and half > _WAIT:
        yield f"{name} answered none of {attempts} requests, of which most waited {duration(half)}"


def unanswered(name: str, window: Window, weights: Mapping[str, int], rules: Rules) -> str | None:
    """Say that an app owes answers, in a window in which none of its attempts has ended.

    nginx passes requests to apps exactly by their weights, so the answers of the others tell how
    many the app should have given. It may have as much time for them as the limit of the p99.
    """
    others = [app for app in window.apps if app != name and weights.get(app)]
    total = sum(weights[app] for app in others)
    if not total or window.reset or window.seconds < rules.max_p99:
        return None
    answers = sum(window.apps[app].attempts.get("answered", 0) for app in others)
    expected = answers * weights.get(name, 0) / total
    if expected < EXPECTED:
        return None
    return (
        f"{name} answered none of about {expected:.0f} requests in {duration(window.seconds)}, "
        f"in which the others answered {answers}"
    )


def _worse(name: str, app: AppWindow, others: Collection[AppWindow]) -> Iterator[str]:
    """Compare an app with all others together: its errors, and its slow answers."""
    errors, requests = (sum(o.errors for o in others), sum(o.requests for o in others))
    if significantly_more(app.errors, app.requests, errors, requests):
        rates = f"{_rate(app.error_rate)} of its requests, the others {_rate(errors / requests)}"
        yield f"{name} failed {rates}"
    durations = [one.header_duration for one in others]
    bounds = app.header_duration.bounds
    if any(one.bounds != bounds for one in durations):
        return
    counts = tuple(sum(column) for column in zip(*(one.counts for one in durations), strict=True))
    usual = Histogram(bounds, counts).quantile(0.99)
    if usual is None:
        return
    above = sum(1 for bound in bounds if bound < _TWICE * usual) + 1
    slow, other_slow = sum(app.header_duration.counts[above:]), sum(counts[above:])
    total, other_total = app.header_duration.count, sum(counts)
    if significantly_more(slow, total, other_slow, other_total):
        yield (
            f"{name} answered {slow} of {total} requests more slowly than twice the "
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
