"""A stand-in for nginx's admin port: the real page, and a status that the test writes."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parents[2] / "nginx" / "admin"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
NOW = 1795360000.0

Status = dict[str, Any]


def app(
    name: str,
    weight: int = 1,
    requests: int = 0,
    *,
    errors: int = 0,
    servers: str = "up",
    ejected: str = "",
) -> Status:
    """An app of a status, without its share; every request took 2.5 to 5 ms.

    Args:
        name: its name.
        weight: its weight.
        requests: how many it answered, errors included.
        errors: how many of them with 502.
        servers: the state of each of its servers, with a blank in between.
        ejected: the reason why those that are down are ejected.
    """
    counts = [0, 0, requests, *[0] * 13]
    return {
        "name": name,
        "weight": weight,
        "servers": [
            {
                "name": f"stack-{name}-{number}:31000",
                "state": state,
                "ejected": ejected if state == "down" else "",
            }
            for number, state in enumerate(servers.split())
        ],
        "requests": {"200": requests - errors, "502": errors},
        "attempts": {
            "answered": requests,
            "connect_failed": 0,
            "timeout": 0,
            "error": 0,
            "aborted": 0,
        },
        "received_bytes": 0,
        "sent_bytes": 0,
        "request_duration": {"counts": counts, "sum": 0.003 * requests},
        "upstream_duration": {"counts": counts, "sum": 0.003 * requests},
        "header_duration": {"counts": counts, "sum": 0.003 * requests},
    }


def status(
    *apps: Status, at: float = 0, route: str = "0123456789ab", changed: float = -3600, lost: int = 0
) -> Status:
    """A whole status; times are seconds after NOW, `lost` is how many requests got a 503."""
    total = sum(one["weight"] for one in apps)
    return {
        "now": NOW + at,
        "build": {"version": "abc123def456", "nginx": "1.30.6", "njs": "0.9.1"},
        "route": {"version": route, "changed": NOW + changed if route else 0},
        "connections": dict.fromkeys(("active", "reading", "writing", "waiting"), 1)
        | {"accepted": 9, "handled": 9},
        "bounds": BOUNDS,
        "apps": [one | {"share": one["weight"] / total if total else 0} for one in apps],
        "unrouted": {"503": lost},
        "probes": {"healthz": 0, "readyz": 0},
    }


@dataclass
class Admin:
    """What it answers, and what it was asked."""

    url: str = ""
    status: Status = field(default_factory=status)
    broken: bool = False
    """Answer 500 instead."""
    held: threading.Event = field(default_factory=threading.Event)
    """Answer only while this is set."""
    asked: int = 0

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Answer a path with a code, a type and a body."""
        if path != "/status.json":
            file = FILES / (path.strip("/") or "index.html")
            if file.parent != FILES or not file.is_file():
                return 404, "text/plain", b"not found\n"
            return 200, TYPES[file.suffix], file.read_bytes()
        self.asked += 1
        self.held.wait()
        if self.broken:
            return 500, "text/plain", b"broken\n"
        return 200, "application/json", json.dumps(self.status).encode()


def _headers() -> Mapping[str, str]:
    return {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-store"}


@contextmanager
def serving() -> Iterator[Admin]:
    """Serve on a free port of 127.0.0.1."""
    admin = Admin()
    admin.held.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, body = admin.answer(self.path)
            try:
                self.send_response(code)
                for name, value in _headers().items():
                    self.send_header(name, value)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # the page has given up waiting

        def log_message(self, format: str, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            admin.url = f"http://127.0.0.1:{server.server_port}/"
            yield admin
        finally:
            admin.held.set()
            server.shutdown()
            thread.join()
