"""An admin port as nginx has it, for tests without nginx: its /metrics, written and served."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate

from loadbalancer.metrics.histogram import Histogram
from loadbalancer.metrics.reading import AppReading, Reading

PREFIX = "loadbalancer_"


def render(reading: Reading) -> str:
    """Write a reading as Prometheus' text format has it; its time is not part of that."""
    lines: list[str] = []

    def family(name: str, kind: str, samples: Mapping[str, float]) -> None:
        lines.append(f"# HELP {PREFIX}{name} Of a test.")
        lines.append(f"# TYPE {PREFIX}{name} {kind}")
        lines.extend(f"{PREFIX}{sample} {value!r}" for sample, value in samples.items())

    def by_app(name: str, kind: str, values: Mapping[str, float | None]) -> None:
        samples = {f'{name}{{app="{app}"}}': value for app, value in values.items()}
        family(
            name, kind, {sample: value for sample, value in samples.items() if value is not None}
        )

    apps = reading.apps
    family(
        "requests_total",
        "counter",
        {
            f'requests_total{{app="{name}",code="{code}"}}': count
            for name, app in apps.items()
            for code, count in app.requests.items()
        },
    )
    family(
        "unrouted_requests_total",
        "counter",
        {f'unrouted_requests_total{{code="{code}"}}': n for code, n in reading.unrouted.items()},
    )
    family(
        "attempts_total",
        "counter",
        {
            f'attempts_total{{app="{name}",outcome="{outcome}"}}': count
            for name, app in apps.items()
            for outcome, count in app.attempts.items()
        },
    )
    for what in ("request", "upstream", "header"):
        name = f"{what}_duration_seconds"
        samples: dict[str, float] = {}
        for app, one in apps.items():
            samples |= _histogram(name, app, getattr(one, f"{what}_duration"))
        family(name, "histogram", samples)
    by_app("received_bytes_total", "counter", {name: app.received for name, app in apps.items()})
    by_app("sent_bytes_total", "counter", {name: app.sent for name, app in apps.items()})
    by_app("configured_weight", "gauge", {name: app.weight for name, app in apps.items()})
    by_app("configured_share_ratio", "gauge", {name: app.share for name, app in apps.items()})
    family(
        "servers",
        "gauge",
        {
            f'servers{{app="{name}",state="{state}"}}': count
            for name, app in apps.items()
            for state, count in (("up", app.servers_up), ("down", app.servers_down))
            if app.weight is not None
        },
    )
    family(
        "ejected_servers",
        "gauge",
        {
            f'ejected_servers{{app="{name}",server="{server}",reason="{reason}"}}': 1
            for name, app in apps.items()
            for server, reason in app.ejected.items()
        },
    )
    connections = {f'connections{{state="{key}"}}': n for key, n in reading.connections.items()}
    family("connections", "gauge", connections)
    family("connections_accepted_total", "counter", {"connections_accepted_total": 7})
    build = 'build_info{version="abc123def456",nginx="1.30.6",njs="0.9.1"}'
    family("build_info", "gauge", {build: 1})
    family("route_info", "gauge", {f'route_info{{version="{reading.version}"}}': 1})
    name = "route_changed_timestamp_seconds"
    family(name, "gauge", {name: reading.changed})
    family("lost_records_total", "counter", {"lost_records_total": reading.lost})
    return "\n".join(lines) + "\n"


def _histogram(name: str, app: str, histogram: Histogram) -> dict[str, float]:
    bounds = (*map(repr, histogram.bounds), "+Inf")
    cumulative = zip(bounds, accumulate(histogram.counts), strict=True)
    return {
        **{f'{name}_bucket{{app="{app}",le="{le}"}}': count for le, count in cumulative},
        f'{name}_sum{{app="{app}"}}': histogram.sum,
        f'{name}_count{{app="{app}"}}': histogram.count,
    }


@dataclass
class AdminPort:
    """A server of /metrics, and of /probe by app; what it answers can be changed at any time."""

    url: str
    body: bytes = b""
    code: int = 200
    location: str = ""
    probes: dict[str, bytes] = field(default_factory=dict)

    def show(self, reading: Reading) -> None:
        """Answer with a reading from now on."""
        self.body, self.code = render(reading).encode(), 200


@contextmanager
def admin_port() -> Iterator[AdminPort]:
    """Serve /metrics on a free port for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found, body = self.path == "/metrics", port.body  # which a test may change meanwhile
            app = self.path.removeprefix("/probe?app=")
            if app in port.probes:
                found, body = True, port.probes[app]
            self.send_response(port.code if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            if port.location:
                self.send_header("Location", port.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port = AdminPort(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield port
        finally:
            server.shutdown()
            thread.join()


def app(requests: Mapping[int, int], **others: object) -> AppReading:
    """Make the reading of an app whose attempts and durations fit its requests: 2 ms each."""
    count = sum(requests.values())
    took = Histogram(counts=(0, count, *(0,) * 14), sum=count * 0.002)
    values: dict[str, object] = {
        "requests": requests,
        "attempts": {
            "answered": count,
            "connect_failed": 0,
            "timeout": 0,
            "error": 0,
            "aborted": 0,
        },
        "request_duration": took,
        "upstream_duration": took,
        "header_duration": took,
        "received": 100 * count,
        "sent": 200 * count,
        "weight": 1,
        "share": 0.5,
        "servers_up": 1,
        **others,
    }
    return AppReading(**values)  # type: ignore[arg-type]
