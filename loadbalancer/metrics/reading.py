"""A reading of nginx's counters: the text of /metrics, parsed and typed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from prometheus_client.parser import text_string_to_metric_families

from loadbalancer.metrics.histogram import Histogram
from loadbalancer.names import APP_NAME

_PREFIX = "loadbalancer_"

EJECTED = {
    "connect_failed": "no connection",
    "error": "connection reset before an answer",
    "check": "health checks fail",
}
"""Why nginx ejects a server, in words."""


@dataclass(frozen=True)
class AppReading:
    """An app's counters since nginx started, and its present weight and servers.

    `requests` is by code; `attempts` is by outcome: answered, connect_failed, timeout, error,
    aborted. `header_duration` is the time until the header of a response, or until the end of an
    attempt that got none: what the app takes, without slow clients. Sizes are in bytes. `weight`
    and `share` (0 to 1) are None outside the route. `ejected` has the servers (`host:port`) that
    get no requests, each with the reason, a key of EJECTED.
    """

    requests: Mapping[int, int] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    request_duration: Histogram = field(default_factory=Histogram)
    upstream_duration: Histogram = field(default_factory=Histogram)
    header_duration: Histogram = field(default_factory=Histogram)
    received: int = 0
    sent: int = 0
    weight: int | None = None
    share: float | None = None
    servers_up: int = 0
    servers_down: int = 0
    ejected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """The content of one response of /metrics.

    `time` (when it was read) and `changed` (when the route was put in) are in seconds since the
    epoch. `unrouted` counts by code the requests that reached no app, `connections` is by state,
    and `lost` is the number of requests that nginx could not count.
    """

    time: float
    version: str
    changed: float
    apps: Mapping[str, AppReading] = field(default_factory=dict)
    unrouted: Mapping[int, int] = field(default_factory=dict)
    connections: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0


def parse(text: str, time: float) -> Reading:
    """Read Prometheus' text format 0.0.4; unknown series are ignored.

    Args:
        text: what /metrics answered.
        time: when it did, in seconds since the epoch.

    Raises:
        ValueError: when it is not that format, or not what nginx writes here.
    """
    samples = _Samples(text)
    version = samples.label("route_info", "version")
    changed = samples.one("route_changed_timestamp_seconds")
    if version is None or changed is None:
        raise ValueError("the series route_info or route_changed_timestamp_seconds is missing")
    if not version.isprintable() or not isfinite(changed):
        raise ValueError(f"invalid route version {version!r} or time {changed}")
    return Reading(
        time=time,
        version=version,
        changed=changed,
        apps={app: _app(samples, app) for app in samples.apps()},
        unrouted=_by_code(samples.by("unrouted_requests_total", "code")),
        connections=samples.by("connections", "state"),
        lost=_whole(samples.one("lost_records_total") or 0),
    )


def _app(samples: "_Samples", app: str) -> AppReading:
    weight = samples.one("configured_weight", app)
    servers = samples.by("servers", "state", app)
    return AppReading(
        requests=_by_code(samples.by("requests_total", "code", app)),
        attempts=samples.by("attempts_total", "outcome", app),
        request_duration=_histogram(samples, "request_duration_seconds", app),
        upstream_duration=_histogram(samples, "upstream_duration_seconds", app),
        header_duration=_histogram(samples, "header_duration_seconds", app),
        received=_whole(samples.one("received_bytes_total", app) or 0),
        sent=_whole(samples.one("sent_bytes_total", app) or 0),
        weight=None if weight is None else _whole(weight),
        share=samples.one("configured_share_ratio", app),
        servers_up=servers.get("up", 0),
        servers_down=servers.get("down", 0),
        ejected=samples.labels("ejected_servers", "server", "reason", app),
    )


def _histogram(samples: "_Samples", name: str, app: str) -> Histogram:
    buckets = samples.by(f"{name}_bucket", "le", app)
    if not buckets:
        return Histogram()
    cumulative = {float(bound): count for bound, count in buckets.items()}
    return Histogram.of_cumulative(cumulative, samples.one(f"{name}_sum", app) or 0.0)


def _by_code(counts: Mapping[str, int]) -> dict[int, int]:
    return {int(code): count for code, count in counts.items()}


def _whole(value: float) -> int:
    if not isfinite(value) or value < 0 or value != int(value):
        raise ValueError(f"invalid count {value}")
    return int(value)


class _Samples:
    """The samples of a text, by name (without the prefix) and by app ("" where they have none)."""

    def __init__(self, text: str) -> None:
        self._found: defaultdict[tuple[str, str], list[tuple[Mapping[str, str], float]]]
        self._found = defaultdict(list)
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    key = (sample.name.removeprefix(_PREFIX), sample.labels.get("app", ""))
                    if sample.name.startswith(_PREFIX):
                        self._found[key].append((sample.labels, sample.value))
        except (IndexError, KeyError) as error:  # of the parser, for a malformed line
            raise ValueError(f"malformed line: {error}") from error

    def apps(self) -> list[str]:
        """List the apps that any series has as label."""
        apps = sorted({app for _, app in self._found if app})
        for app in apps:
            if not APP_NAME.fullmatch(app):
                raise ValueError(f"invalid app name {app!r}")
        return apps

    def by(self, name: str, label: str, app: str = "") -> dict[str, int]:
        """Return counts by the value of a label."""
        found = self._each(name, app)
        return {labels[label]: _whole(value) for labels, value in found if label in labels}

    def labels(self, name: str, key: str, value: str, app: str) -> dict[str, str]:
        """Return the values of a label by those of another."""
        each = (labels for labels, _ in self._each(name, app))
        return {one[key]: one[value] for one in each if key in one and value in one}

    def one(self, name: str, app: str = "") -> float | None:
        """Return the value of a series without further labels; None if it is missing."""
        return next((value for _, value in self._each(name, app)), None)

    def label(self, name: str, label: str) -> str | None:
        """Return the value of a label of a series; None if it is missing."""
        return next((labels.get(label) for labels, _ in self._each(name, "")), None)

    def _each(self, name: str, app: str) -> list[tuple[Mapping[str, str], float]]:
        return self._found.get((name, app), [])
