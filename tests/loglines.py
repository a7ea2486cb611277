"""Lines of nginx and of apps, as their containers log them."""

import json

from loadbalancer.logs.parse import Line, Source, parse

NGINX, APP1, APP2 = Source("nginx-1", None), Source("app1-1", "app1"), Source("app2-1", "app2")
PORTS = {5001: "app1", 5002: "app2"}
AT = "2026-11-22T15:20:28.123456789Z"
OF_NGINX = {
    "time": "2026-11-22T15:20:28+00:00",
    "id": "abc",
    "app": "app2",
    "method": "GET",
    "uri": "/a?b=c",
    "status": 200,
    "seconds": 0.012,
    "upstream": "172.18.0.3:5001, 172.18.0.2:5002",
    "upstream_status": "502, 200",
}
OF_APP = {
    "time": "2026-11-22T15:20:28.120Z",
    "app": "app2",
    "request_id": "abc",
    "method": "GET",
    "path": "/a",
    "status": 200,
    "duration_ms": 0.483,
}


def line(record: object, source: Source = NGINX, at: str = AT) -> Line:
    text = record if isinstance(record, str) else json.dumps(record)
    return parse(at, source, text, PORTS)


def stamp(number: int) -> str:
    """A time of Docker's: so many tenths of a second after another."""
    return f"2026-11-22T15:{20 + number // 600:02}:{number // 10 % 60:02}.{number % 10}00000000Z"
