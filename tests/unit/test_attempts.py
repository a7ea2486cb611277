"""The attempts of a request, from nginx's variables: attempts.js without nginx."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.njs import Call, loaded


@pytest.fixture(scope="module")
def attempts() -> Iterator[Call]:
    """attempts.js in a process of its own."""
    with loaded("attempts.js") as found:
        yield found


def variables(**given: str) -> dict[str, str]:
    """nginx's variables of a request with one attempt that was answered."""
    named = {
        "upstream_addr": "10.0.0.1:5001",
        "upstream_connect_time": "0.000",
        "upstream_header_time": "0.002",
        "upstream_response_time": "0.003",
        "upstream_status": "200",
        "upstream_bytes_received": "170",
        "status": "200",
    }
    return named | {f"upstream_{key}" if key != "status" else key: v for key, v in given.items()}


@pytest.mark.parametrize(
    ("given", "outcome", "taken", "failed"),
    [
        ({}, "answered", True, False),
        ({"status": "500"}, "answered", True, False),
        ({"connect_time": "-", "bytes_received": "0"}, "connect_failed", False, True),
        ({"bytes_received": "0"}, "error", True, True),
        ({"bytes_received": "-"}, "error", True, True),
        # A header that is too large, or an answer that is not HTTP.
        ({"bytes_received": "4096"}, "error", True, False),
        ({"status": "504"}, "timeout", True, False),
        ({"status": "499"}, "aborted", True, False),
    ],
)
def test_what_became_of_an_attempt(
    given: dict[str, str], outcome: str, taken: bool, failed: bool, attempts: Call
) -> None:
    if outcome != "answered":
        given = {"header_time": "-", "bytes_received": "0", **given}
    found = variables(**given)
    if outcome == "timeout":
        found["upstream_status"] = "504"
    (one,) = attempts("all", found)
    assert (one["outcome"], one["taken"], one["failed"]) == (outcome, taken, failed)


@pytest.mark.parametrize(
    "body",
    [{"content_length": "5"}, {"http_transfer_encoding": "chunked"}],
    ids=["sized", "chunked"],
)
def test_a_reset_while_a_body_is_sent_is_no_failure_of_the_server(
    body: dict[str, str], attempts: Call
) -> None:
    (one,) = attempts("all", variables(header_time="-", bytes_received="0") | body)
    assert (one["outcome"], one["taken"], one["failed"]) == ("error", True, False)


def test_every_attempt_is_found_and_those_since_a_redirect_apart(attempts: Call) -> None:
    found = variables(
        addr="10.0.0.1:5001, apps : 10.0.0.2:5002",
        connect_time="-, - : 0.001",
        header_time="-, - : 0.004",
        response_time="0.000, 0.000 : 0.005",
        status="200",
        bytes_received="0, 0 : 170",
    ) | {"upstream_status": "502, 502 : 200"}

    def told(every: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        return [(one["address"], one["outcome"], one["seconds"]) for one in every]

    assert told(attempts("all", found)) == [
        ("10.0.0.1:5001", "connect_failed", "0.000"),
        ("apps", "connect_failed", "0.000"),
        ("10.0.0.2:5002", "answered", "0.005"),
    ]
    assert told(attempts("sinceRedirect", found)) == [("10.0.0.2:5002", "answered", "0.005")]


def test_a_request_that_reached_no_upstream_has_no_attempt(attempts: Call) -> None:
    assert attempts("all", {"status": "400"}) == attempts("sinceRedirect", {"status": "400"}) == []


def test_a_failure_is_dated_by_the_beginning_of_a_connection_or_the_end_of_an_attempt(
    attempts: Call,
) -> None:
    found = variables(
        addr="10.0.0.1:5001, 10.0.0.2:5002 : 10.0.0.3:5003, 10.0.0.4:5004",
        connect_time="-, 0.000 : -, 0.001",
        header_time="-, - : -, 0.500",
        response_time="2.000, 1.000 : -, 0.500",
        bytes_received="0, 0 : 0, 170",
    ) | {"upstream_status": "502, 502 : 502, 200"}
    outcomes = ["connect_failed", "error", "connect_failed", "answered"]
    every = attempts("all", found)
    assert [one["outcome"] for one in every] == outcomes
    assert [one["ago"] for one in every] == [3.5, 0.5, 0.5, 0]
    assert [one["ago"] for one in attempts("sinceRedirect", found)] == [0.5, 0]
