"""The difference of two readings: requests, errors, shares and durations in a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from loadbalancer.metrics.histogram import Histogram
from loadbalancer.metrics.reading import AppReading, Reading

_Key = TypeVar("_Key")

_NOT_FAILED = frozenset({"answered", "aborted"})
"""Outcomes of an attempt that are no failure of the server; `aborted` is the client's doing."""


@dataclass(frozen=True)
class AppWindow:
    """What an app did in a window.

    `seconds` is the window's length, `total` the requests of all apps in it. Requests are by code,
    attempts by outcome, sizes in bytes.
    """

    seconds: float
    total: int
    by_code: Mapping[int, int]
    attempts: Mapping[str, int]
    request_duration: Histogram
    upstream_duration: Histogram
    header_duration: Histogram
    received: int
    sent: int

    @property
    def requests(self) -> int:
        """Number of requests that were passed to this app last."""
        return sum(self.by_code.values())

    @property
    def rate(self) -> float | None:
        """Requests per second; None when no time has passed."""
        return self.requests / self.seconds if self.seconds else None

    @property
    def errors(self) -> int:
        """Number of requests with a status code of 500 or above."""
        least = HTTPStatus.INTERNAL_SERVER_ERROR
        return sum(count for code, count in self.by_code.items() if code >= least)

    @property
    def error_rate(self) -> float | None:
        """Fraction of the requests that were errors, 0 to 1; None without requests."""
        return self.errors / self.requests if self.requests else None

    @property
    def failed_attempts(self) -> int:
        """Number of failed attempts: no connection, no response in time, or an invalid response.

        Where nginx could go on to another server, the client has not noticed.
        """
        return sum(count for outcome, count in self.attempts.items() if outcome not in _NOT_FAILED)

    @property
    def share(self) -> float | None:
        """Fraction of all apps' requests that this one got, 0 to 1; None without requests."""
        return self.requests / self.total if self.total else None

    @property
    def app_p99(self) -> float | None:
        """Seconds in which the app has answered 99 of 100 attempts; None without attempts.

        It ends with the response header, and begins when nginx has the whole request: slow clients
        have no influence on it.
        """
        return self.header_duration.quantile(0.99)

    @property
    def p50(self) -> float | None:
        """Seconds in which half of the requests were answered; None without requests."""
        return self.request_duration.quantile(0.5)

    @property
    def p95(self) -> float | None:
        """Seconds in which 95 of 100 requests were answered; None without requests."""
        return self.request_duration.quantile(0.95)

    @property
    def p99(self) -> float | None:
        """Seconds in which 99 of 100 requests were answered; None without requests."""
        return self.request_duration.quantile(0.99)


@dataclass(frozen=True)
class Window:
    """What happened between two readings.

    `apps` are those of the later reading. `reset` says that counters were reset in between,
    since nginx was restarted: what they had counted before that is missing here.
    """

    seconds: float
    reset: bool
    apps: Mapping[str, AppWindow]
    unrouted: Mapping[int, int]
    lost: int

    @property
    def requests(self) -> int:
        """Number of requests that were passed to any app."""
        return sum(app.requests for app in self.apps.values())


def since(earlier: Reading, later: Reading) -> Window:
    """Subtract one reading from another of the same nginx.

    A counter that has decreased was reset, and counts from 0, as in Prometheus' increase(); so
    does a whole histogram when one of its buckets has decreased.
    """
    differ = _Difference()
    seconds = max(0.0, later.time - earlier.time)
    nothing = AppReading()
    before = {app: earlier.apps.get(app, nothing) for app in later.apps}
    by_code = {
        app: differ.counts(before[app].requests, now.requests) for app, now in later.apps.items()
    }
    total = sum(sum(counts.values()) for counts in by_code.values())
    apps = {
        app: AppWindow(
            seconds=seconds,
            total=total,
            by_code=by_code[app],
            attempts=differ.counts(before[app].attempts, now.attempts),
            request_duration=differ.histogram(before[app].request_duration, now.request_duration),
            upstream_duration=differ.histogram(
                before[app].upstream_duration, now.upstream_duration
            ),
            header_duration=differ.histogram(before[app].header_duration, now.header_duration),
            received=differ.count(before[app].received, now.received),
            sent=differ.count(before[app].sent, now.sent),
        )
        for app, now in later.apps.items()
    }
    unrouted = differ.counts(earlier.unrouted, later.unrouted)
    lost = differ.count(earlier.lost, later.lost)
    # nginx keeps the counters of apps that leave the route, as long as it runs.
    for app in earlier.apps.keys() - later.apps.keys():
        differ.counts(earlier.apps[app].requests, {})
    return Window(seconds, differ.reset, apps, unrouted, lost)


class _Difference:
    """Subtracts counters, and notes whether one of them was reset."""

    def __init__(self) -> None:
        self.reset = False

    def count(self, earlier: int, later: int) -> int:
        if later < earlier:
            self.reset = True
            return later
        return later - earlier

    def counts(self, earlier: Mapping[_Key, int], later: Mapping[_Key, int]) -> dict[_Key, int]:
        # A missing counter is back at 0.
        every = {**earlier, **later}
        return {key: self.count(earlier.get(key, 0), later.get(key, 0)) for key in every}

    def histogram(self, earlier: Histogram, later: Histogram) -> Histogram:
        difference = later.since(earlier)
        if difference is None:
            self.reset = True
            return later
        return difference
