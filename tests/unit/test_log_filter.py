"""Which lines of the logs are shown."""

from collections.abc import Sequence

import pytest

from loadbalancer.logs.filter import Filter, FilterError
from loadbalancer.logs.parse import Line, parse
from tests.loglines import APP1, APP2, NGINX, OF_APP, OF_NGINX, line

FAILED = line({**OF_NGINX, "status": 502})
ELSEWHERE = line({**OF_NGINX, "upstream": "10.0.0.2:5002", "upstream_status": "200", "id": "d"})
NOT_FOUND = line({**OF_APP, "status": 404}, APP1)
OTHER = line({**OF_APP, "request_id": "abcd"}, APP2)
TRACEBACK, NOTICE = line("Traceback", APP1), line("exiting", NGINX)
EVERY = [FAILED, ELSEWHERE, NOT_FOUND, OTHER, TRACEBACK, NOTICE]


@pytest.mark.parametrize(
    ("app", "status", "request_", "matching"),
    [
        (None, None, None, EVERY),
        # nginx's lines for requests that the app was asked, even if another answered.
        ("app1", None, None, [FAILED, NOT_FOUND, TRACEBACK]),
        ("app2", None, None, [FAILED, ELSEWHERE, OTHER]),
        (None, "5xx", None, [FAILED]),
        (None, "404", None, [NOT_FOUND]),
        (None, "200, 4XX", None, [ELSEWHERE, NOT_FOUND, OTHER]),
        (None, "200,404,502", None, [FAILED, ELSEWHERE, NOT_FOUND, OTHER]),
        (None, "5xx", "abcd", []),
        (None, None, "abc", [FAILED, NOT_FOUND]),
        (None, None, "abcd", [OTHER]),
        ("app1", "404", "abc", [NOT_FOUND]),
    ],
)
def test_which_lines_match(
    app: str | None, status: str | None, request_: str | None, matching: Sequence[Line]
) -> None:
    chosen = Filter.parse(app=app, status=status, request=request_)
    assert [one for one in EVERY if chosen.matches(one)] == list(matching)
    for one in matching:
        assert chosen.reads(one.source)
    assert chosen.takes_all == (len(matching) == len(EVERY))


def test_another_apps_containers_are_not_read() -> None:
    assert [Filter(app="app1").reads(one) for one in (NGINX, APP1, APP2)] == [True, True, False]


@pytest.mark.parametrize(
    "status", ["", "6xx", "20", "2000", "5x", "ok", ",", "404,", "404 500", "٤٠٤"]
)
def test_an_invalid_status(status: str) -> None:
    with pytest.raises(FilterError, match=r"^--status: .* Examples: 404, 5xx or 200,404$"):
        Filter.parse(app=None, status=status, request=None)


@pytest.mark.parametrize("request_", ["", "a b", "é", "x" * 129, "\x1b"])
def test_an_invalid_request_id(request_: str) -> None:
    with pytest.raises(FilterError, match=r"^--request: .* 1 to 128 visible ASCII characters"):
        Filter.parse(app=None, status=None, request=request_)


def test_lines_before_a_time_are_left_out() -> None:
    line = parse("2026-01-31T12:00:00.123456789Z", APP1, "text", {})
    for since, matches in (
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T13:00:00.123456+01:00", True),
        ("2026-01-31T12:00:01Z", False),
        ("10min", False),
        ("99999h", True),
    ):
        chosen = Filter.parse(since=since)
        assert chosen.matches(line) is matches, since
        assert chosen.takes_all  # so that only as many lines are read as are shown


@pytest.mark.parametrize("since", ["", "yesterday", "10 parsecs", "9" * 99])
def test_an_invalid_time_is_refused(since: str) -> None:
    with pytest.raises(FilterError, match=r"^--since: .* Examples: 10min, 2h or 2026-01-31T12"):
        Filter.parse(since=since)


def test_an_app_without_a_container() -> None:
    Filter(app="app1").check(["app1"])
    Filter().check([])
    with pytest.raises(FilterError, match=r"^--app: 'app3' has no .* Valid apps: app1, app2$"):
        Filter(app="app3").check(["app2", "app1"])
