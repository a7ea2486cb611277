"""The parser of log lines: a request, as nginx or an app logs it, or text."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_BETWEEN_ATTEMPTS = re.compile(", | : ")
"""nginx writes a comma between servers, and a colon after an internal redirect."""

_CODES = range(1000)
_LONGEST = 1e12
"""Milliseconds that a request may have taken; a larger number in a log is ignored."""


@dataclass(frozen=True)
class Source:
    """A container that writes a log: its short name, and its app (None for nginx)."""

    name: str
    app: str | None


@dataclass(frozen=True)
class Attempt:
    """One server that nginx passed a request to: its app (its address if unknown), its response.

    `status` is a code, or "-" without a response.
    """

    app: str
    status: str


@dataclass(frozen=True)
class Request:
    """One request, as nginx or an app logged it. `attempts` is empty in an app's own line.

    `app` is the last one that the request was passed to; empty in nginx's line without any.
    """

    status: int
    method: str
    path: str
    milliseconds: float
    app: str
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of a log.

    `time` is Docker's, whose text sorts by time. `request` is None in a line that logs no request,
    and `id` is empty in one without a request ID.
    """

    time: str
    source: Source
    text: str
    id: str = ""
    request: Request | None = None


def parse(time: str, source: Source, text: str, apps: Mapping[int, str]) -> Line:
    """Parse a line; one that is not JSON, or has another form, is only text.

    Args:
        time: Docker's time of the line.
        source: the container that wrote it.
        text: the line, without its line end.
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
        attempts=_attempts(_string(record, "upstream"), _string(record, "upstream_status"), apps),
    )


def _attempts(servers: str, statuses: str, apps: Mapping[int, str]) -> tuple[Attempt, ...]:
    """Parse the servers that nginx passed a request to, one after the other."""
    pairs = zip(_BETWEEN_ATTEMPTS.split(servers), _BETWEEN_ATTEMPTS.split(statuses), strict=False)
    # With every server ejected, nginx writes the name of the upstream in place of an address.
    return tuple(Attempt(_app(server, apps), status) for server, status in pairs if ":" in server)


def _app(server: str, apps: Mapping[int, str]) -> str:
    port = re.search(r":(\d{1,5})$", server)
    return apps.get(int(port[1]), server) if port else server


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _number(record: Mapping[str, Any], key: str) -> float:
    value = record.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value < _LONGEST else 0.0
