"""The client of nginx's admin port: reads its counters over HTTP."""

import time

import requests

from loadbalancer import hints
from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics import reading
from loadbalancer.metrics.reading import Reading

TIMEOUT = 5.0
"""Seconds that the admin port may take to answer; it takes a few milliseconds."""

PROBE_TIMEOUT = 2.0
"""Seconds that nginx gives an app to answer a probe (nginx.conf)."""

_HTTP_OK = 200
_LONGEST_REASON = 200


class MetricsError(RuntimeError):
    """The counters cannot be read; the message holds the address and what to do."""


def read(url: str, timeout: float = TIMEOUT) -> Reading:
    """Read the present counters of a stack's nginx.

    Args:
        url: the stack's output `adminUrl`.
        timeout: seconds for connecting, and for each pause in the answer.

    Raises:
        MetricsError: when the address does not answer, or is not nginx's admin port.
    """
    address = f"{url.rstrip('/')}/metrics"
    answer = _get(address, timeout)
    try:
        return reading.parse(answer.content.decode(), time.time())
    except ValueError as error:
        reason = escape_control_chars(str(error))[:_LONGEST_REASON]
        raise MetricsError(
            f"{address} does not answer with the counters of a load balancer: {reason}. "
            f"Check the address: {hints.lb('status')}"
        ) from error


def probe(url: str, app: str, timeout: float = TIMEOUT) -> frozenset[str]:
    """Have nginx ask the servers of an app now.

    Args:
        url: the stack's output `adminUrl`.
        app: the app's name.
        timeout: seconds for connecting, and for the answer beyond PROBE_TIMEOUT.

    Returns:
        The paths that at least one server has answered, with any status, within PROBE_TIMEOUT.

    Raises:
        MetricsError: when nginx does not answer, or cannot ask.
    """
    address = f"{url.rstrip('/')}/probe?app={app}"
    answer = _get(address, PROBE_TIMEOUT + timeout)
    try:
        servers = answer.json()["servers"]
        return frozenset(str(path) for one in servers for path in one["answered"])
    except (ValueError, LookupError, TypeError) as error:
        raise MetricsError(f"{address} does not answer with the result of a probe") from error


def _get(address: str, timeout: float) -> requests.Response:
    try:
        with requests.Session() as session:
            # The admin port is on this machine's loopback, which no proxy reaches.
            session.trust_env = False
            answer = session.get(address, timeout=timeout, allow_redirects=False)
    except requests.Timeout as error:
        raise MetricsError(
            f"{address} did not answer within {timeout:g} s. Check the stack: {hints.lb('status')}"
        ) from error
    except requests.RequestException as error:
        raise MetricsError(
            f"{address} does not answer ({_cause(error)}). Check the stack: {hints.lb('status')}"
        ) from error
    if answer.status_code != _HTTP_OK:
        raise MetricsError(
            f"{address} answers {answer.status_code} instead of 200. "
            f"Check nginx's log: {hints.lb('logs')}"
        )
    return answer


def _cause(error: requests.RequestException) -> str:
    """Describe the innermost cause, without the objects around it."""
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    return getattr(inner, "strerror", None) or str(inner)
