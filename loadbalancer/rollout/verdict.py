"""What a window says of the apps that a step gave more: good, bad, or nothing yet; pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain

from loadbalancer.formats import duration
from loadbalancer.metrics.histogram import Histogram
from loadbalancer.metrics.window import AppWindow, Window
from loadbalancer.rollout.comparison import more

_TWICE = 2
"""How much slower than the others' 99 of 100 an app may be where they are compared."""


class Outcome(Enum):
    """What a check found; HOLD says that there is nothing to go by yet."""

    PASSED = "passed"
    HOLD = "hold"
    FAILED = "failed"


@dataclass(frozen=True)
class Rules:
    """What an app must keep to: parts of requests (0 to 1), seconds, numbers of requests."""

    max_error_rate: float = 0.01
    max_p99: float = 0.5
    min_samples: int = 100
    compare: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a check found, why, and the figures of the apps that were judged."""

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

    An app is asked as often as servers of it were tried, also where nginx went on to another app
    and the client noticed nothing. Fewer than the minimum for one of them hold the check, however
    bad or good they were; so does a window in which nginx's counters began anew.
    """
    figures = describe(window, apps)
    if window.reset:
        return Verdict(Outcome.HOLD, ("nginx began to count anew",), figures)
    missing = [app for app in sorted(apps) if app not in window.apps]
    few = [
        f"{app} has {samples(window.apps[app])} of {rules.min_samples} samples"
        for app in sorted(apps)
        if app in window.apps and samples(window.apps[app]) < rules.min_samples
    ]
    if missing or few:
        return Verdict(Outcome.HOLD, (*(f"no metrics of {app}" for app in missing), *few), figures)
    faults = tuple(chain.from_iterable(_faults(app, window, rules, apps) for app in sorted(apps)))
    return Verdict(Outcome.FAILED if faults else Outcome.PASSED, faults, figures)


def samples(app: AppWindow) -> int:
    """Count how often an app was asked."""
    return max(app.requests, sum(app.tries.values()))


def describe(window: Window, apps: Collection[str]) -> str:
    """Write the figures of apps as a person reads them."""
    return "; ".join(_figures(app, window.apps[app]) for app in sorted(apps) if app in window.apps)


def _figures(name: str, app: AppWindow) -> str:
    words = [f"{name}: {app.requests} requests"]
    if app.requests:
        words += [f"{_rate(app.error_rate)} errors", f"p99 {duration(app.p99)}"]
    if app.failed_tries:
        words.append(f"{app.failed_tries} failed tries")
    return ", ".join(words)


def _faults(name: str, window: Window, rules: Rules, apps: Collection[str]) -> Iterator[str]:
    app = window.apps[name]
    tries = sum(app.tries.values())
    limit = _rate(rules.max_error_rate)
    if app.error_rate is not None and app.error_rate > rules.max_error_rate:
        yield f"{name} failed {_rate(app.error_rate)} of {app.requests} requests, limit {limit}"
    if tries and app.failed_tries / tries > rules.max_error_rate:
        yield f"{_rate(app.failed_tries / tries)} of {tries} tries at {name} failed, limit {limit}"
    if app.p99 is not None and app.p99 > rules.max_p99:
        yield f"{name}'s p99 is {duration(app.p99)}, limit {duration(rules.max_p99)}"
    others = [one for other, one in window.apps.items() if other not in apps]
    if rules.compare and sum(other.requests for other in others) >= rules.min_samples:
        yield from _worse(name, app, others)


def _worse(name: str, app: AppWindow, others: Collection[AppWindow]) -> Iterator[str]:
    errors, requests = (sum(o.errors for o in others), sum(o.requests for o in others))
    if more(app.errors, app.requests, errors, requests):
        rates = f"{_rate(app.error_rate)} of its requests, the others {_rate(errors / requests)}"
        yield f"{name} failed {rates}"
    together = [one.request_duration for one in others]
    bounds = app.request_duration.bounds
    if any(one.bounds != bounds for one in together):
        return
    counts = tuple(sum(column) for column in zip(*(one.counts for one in together), strict=True))
    usual = Histogram(bounds, counts).quantile(0.99)
    if usual is None:
        return
    above = sum(1 for bound in bounds if bound < _TWICE * usual) + 1
    slow, other_slow = sum(app.request_duration.counts[above:]), sum(counts[above:])
    if more(slow, app.requests, other_slow, requests):
        yield (
            f"{name} answered {slow} of {app.requests} requests more slowly than twice the "
            f"others' p99 of {duration(usual)}"
        )


def _rate(part: float | None) -> str:
    return "no" if part is None else f"{100 * part:.2f}%"
