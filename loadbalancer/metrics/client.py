"""The client of nginx's admin port: reads its counters over HTTP."""

import time

import requests

from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics import reading
from loadbalancer.metrics.reading import Reading

TIMEOUT = 5.0
"""Seconds that the admin port has to answer in; it answers in a few milliseconds."""

_HTTP_OK = 200
_LONGEST_REASON = 200


class MetricsError(RuntimeError):
    """The counters cannot be read; the message names the address and says what to do."""


def read(url: str, timeout: float = TIMEOUT) -> Reading:
    """Read the counters of a stack's nginx, as they are now.

    Args:
        url: the stack's output `adminUrl`.
        timeout: seconds for connecting, and for each pause in the answer.

    Raises:
        MetricsError: when nobody answers there, or something else than nginx's admin port.
    """
    address = f"{url.rstrip('/')}/metrics"
    try:
        with requests.Session() as session:
            # The admin port is on this machine's loopback, where no proxy leads.
            session.trust_env = False
            answer = session.get(address, timeout=timeout, allow_redirects=False)
    except requests.Timeout as error:
        raise MetricsError(
            f"{address} has not answered within {timeout:g} s. See how the stack is: make status"
        ) from error
    except requests.RequestException as error:
        raise MetricsError(
            f"{address} does not answer ({_cause(error)}). See how the stack is: make status"
        ) from error
    if answer.status_code != _HTTP_OK:
        raise MetricsError(
            f"{address} answers {answer.status_code} instead of 200. See what nginx says: make logs"
        )
    try:
        return reading.parse(answer.content.decode(), time.time())
    except ValueError as error:
        reason = escape_control_chars(str(error))[:_LONGEST_REASON]
        raise MetricsError(
            f"{address} answers something else than the counters of a load balancer: {reason}. "
            "See which port is its own: pulumi stack output adminUrl"
        ) from error


def _cause(error: requests.RequestException) -> str:
    """Say in a few words what went wrong: the innermost cause, without the objects around it."""
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    return getattr(inner, "strerror", None) or str(inner)
