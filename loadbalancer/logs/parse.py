"""What a line of a container's log says: a request, as nginx or an app has it, or text; pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BETWEEN_TRIES = re.compile(", | : ")
"""nginx writes a comma between servers, and a colon where it passes a request on inside itself."""

_CODES = range(1000)
_LONGEST = 1e12
"""Milliseconds that a request may have taken, so that a log cannot bring us a number too large."""


@dataclass(frozen=True)
class Source:
    """A container that writes a log: its name in short, and its app, None for nginx."""

    name: str
    app: str | None


@dataclass(frozen=True)
class Try:
    """One server that nginx asked: its app (its address where that is not known), its answer.

    `status` is a code, or "-" where there was none.
    """

    app: str
    status: str


@dataclass(frozen=True)
class Request:
    """One request, as nginx or an app has logged it. `tries` is empty in an app's own line.

    `app` is the one that was asked last; empty in nginx's line when none was.
    """

    status: int
    method: str
    path: str
    milliseconds: float
    app: str
    tries: tuple[Try, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of a log.

    `time` is Docker's, as it writes it: its order is that of time. `request` is None in a line
    that logs none, and `id` is empty in one that does not say to which request it belongs.
    """

    time: str
    source: Source
    text: str
    id: str = ""
    request: Request | None = None


def parse(time: str, source: Source, text: str, apps: Mapping[int, str]) -> Line:
    """Read a line; one that is not JSON, or not of the form that is known here, is only text.

    Args:
        time: Docker's time of the line.
        source: the container that wrote it.
        text: the line, without its end.
        apps: the app that listens on each port.
    """
    record = _record(text)
    id_ = _string(record, "request_id") or _string(record, "id")
    return Line(time, source, text, id_, _request(record, source, apps) if record else None)


def _record(text: str) -> Mapping[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _request(record: Mapping[str, Any], source: Source, apps: Mapping[int, str]) -> Request | None:
    status, method = record.get("status"), record.get("method")
    if type(status) is not int or status not in _CODES or not isinstance(method, str):
        return None
    if source.app is not None:
        path, took = _string(record, "path"), _number(record, "duration_ms")
        return Request(status, method, path, took, source.app)
    return Request(
        status=status,
        method=method,
        path=_string(record, "uri"),
        milliseconds=1000 * _number(record, "seconds"),
        app=_string(record, "app"),
        tries=_tries(_string(record, "upstream"), _string(record, "upstream_status"), apps),
    )


def _tries(servers: str, statuses: str, apps: Mapping[int, str]) -> tuple[Try, ...]:
    """Read what nginx writes of the servers that it asked, one after the other."""
    pairs = zip(_BETWEEN_TRIES.split(servers), _BETWEEN_TRIES.split(statuses), strict=False)
    # Where every server is out, nginx writes the name of the group in place of an address.
    return tuple(Try(_app(server, apps), status) for server, status in pairs if ":" in server)


def _app(server: str, apps: Mapping[int, str]) -> str:
    port = re.search(r":(\d{1,5})$", server)
    return apps.get(int(port[1]), server) if port else server


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _number(record: Mapping[str, Any], key: str) -> float:
    value = record.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value < _LONGEST else 0.0
