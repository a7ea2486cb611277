"""What the page makes of readings: rates, quantiles and shares that no restart can bend."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from tests.browser import new_page
from tests.page.admin import BOUNDS, NOW, Status, app, serving, status

Run = Callable[..., Any]

PREPARE = """
const readings = statuses.map(m.read).reduce(m.append, []);
const [spans, last] = [m.spans(readings), readings.at(-1)];
"""


@pytest.fixture(scope="module")
def run(browser: Browser) -> Iterator[Run]:
    """Run the body of a function of a module `m` of the page, with named arguments."""
    with serving() as admin, new_page(browser, timezone_id="UTC") as (page, _):
        page.goto(f"{admin.url}icon.svg")

        def run(file: str, body: str, **arguments: Any) -> Any:
            names = ", ".join(arguments)
            code = f"async ({{{names}}}) => {{ const m = await import('/{file}'); {body} }}"
            return page.evaluate(code, arguments)

        yield run


def points(run: Run, statuses: list[Status], name: str = "app1") -> list[dict[str, Any]]:
    """The points of one app's graphs after these statuses."""
    body = "return m.series(spans, [name], last.at, bounds).get(name)"
    found: list[dict[str, Any]] = run(
        "history.js", PREPARE + body, statuses=statuses, name=name, bounds=BOUNDS
    )
    return found


def rates(run: Run, statuses: list[Status], name: str = "app1") -> list[float]:
    """The rates of one app's graph, without its gaps."""
    return [point["rate"] for point in points(run, statuses, name) if point["rate"] is not None]


def observed(run: Run, statuses: list[Status]) -> tuple[dict[str, int], float]:
    """The requests that the observed share rests on, by app, and for how many seconds."""
    body = "const {since, of} = m.observed(spans, last); return [[...of], last.at - since]"
    of, seconds = run("history.js", PREPARE + body, statuses=statuses)
    return dict(of), seconds


def steady(seconds: range, start: int = 0, each: int = 10) -> list[Status]:
    """A status a second, of an app that answers so many requests each."""
    return [
        status(app("app1", requests=start + each * number), at=at)
        for number, at in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, [10, 20, 10, 0], 1.5),  # the 20th of 40: halfway through the second bucket
        (0.95, [10, 20, 10, 0], 3.6),  # the 38th: 8 of 10 into the third, which is 2 wide
        (0.99, [100, 0, 0, 0], 0.99),  # the first bucket begins at 0
        (0.25, [10, 20, 10, 0], 1),  # the last of a bucket is its bound
        (0.5, [1, 0, 0, 1], 1),  # an empty bucket is passed over
        (0.95, [1, 0, 0, 1], 4),  # above the last bound nothing is known but that bound
        (0.5, [0, 0, 0.5, 0], 3),  # parts of requests count as parts
        (0.5, [0, 0, 0, 0], None),
    ],
)
def test_quantiles_are_those_of_prometheus(
    run: Run, q: float, counts: list[float], expected: float | None
) -> None:
    found = run("history.js", "return m.quantile(q, counts, [1, 2, 4])", q=q, counts=counts)
    assert found == pytest.approx(expected)


def test_a_steady_load_is_a_level_line(run: Run) -> None:
    found = rates(run, steady(range(320)))
    assert len(found) in (60, 61)
    assert found == pytest.approx([10] * len(found))


def test_readings_at_uneven_times_draw_a_level_line(run: Run) -> None:
    times = [0, 0.7, 1.9, 3, 7.5, 8, 12.25, 20]
    statuses = [status(app("app1", requests=round(100 * at)), at=at) for at in times]
    found = rates(run, statuses)
    assert found == pytest.approx([100] * len(found))


def test_a_restart_is_neither_a_spike_nor_a_dip(run: Run) -> None:
    found = rates(run, steady(range(100), start=10**6) + steady(range(100, 200), start=3))
    assert found == pytest.approx([10] * len(found))


def test_a_restart_shows_in_every_app(run: Run) -> None:
    """app2 had few requests before and more of them since: its counter alone would not tell."""
    statuses = [
        status(app("app1", requests=one), app("app2", requests=other), at=at)
        for at, (one, other) in enumerate([(100, 1), (100, 1), (5, 90), (5, 90)])
    ]
    assert max(rates(run, statuses, "app2")) == 0


def test_an_app_that_comes_back_with_its_old_counters_is_no_spike(run: Run) -> None:
    alone = [status(app("app2"), at=at) for at in range(3)]
    both = [status(app("app1", requests=10**6), app("app2"), at=at) for at in range(3, 6)]
    assert rates(run, alone + both) == pytest.approx([0] * len(rates(run, alone + both)))


def test_a_short_absence_is_drawn_as_its_average(run: Run) -> None:
    found = rates(run, steady(range(0, 10)) + steady(range(40, 50), start=90 + 310))
    assert found == pytest.approx([10] * len(found))


def test_a_long_absence_is_a_gap(run: Run) -> None:
    statuses = steady(range(0, 10)) + steady(range(200, 210), start=10**6)
    found = points(run, statuses)
    assert {point["rate"] for point in found if 20 < point["at"] - NOW < 200} == {None}
    assert [point["rate"] for point in found][-1] == pytest.approx(10)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=st.lists(
        st.tuples(
            st.floats(0.05, 70),  # seconds until this reading
            st.integers(0, 50),  # requests a second since the one before
            st.booleans(),  # whether nginx was restarted right after that
        ),
        min_size=1,
        max_size=30,
    )
)
def test_no_point_is_above_the_fastest_real_second(
    run: Run, events: list[tuple[float, int, bool]]
) -> None:
    at, counter, statuses = 0.0, 10**6, [status(app("app1", requests=10**6))]
    for seconds, each, restarted in events:
        at += seconds
        counter = (0 if restarted else counter) + int(seconds * each)
        statuses.append(status(app("app1", requests=counter), at=at))
    fastest = max(each for _, each, _ in events)
    # So long after 1970 a float is right to a quarter of a microsecond, which of 0.05 s is 5e-6.
    assert all(0 <= found <= fastest * (1 + 1e-5) for found in rates(run, statuses))


def test_only_codes_from_500_are_errors(run: Run) -> None:
    before, after = app("app1"), app("app1", requests=20)
    after["requests"] = {"200": 10, "302": 1, "404": 4, "499": 1, "500": 1, "502": 3}
    assert points(run, [status(before), status(after, at=1)])[-1]["errors"] == pytest.approx(0.2)


def test_without_requests_there_is_no_error_rate_and_no_time(run: Run) -> None:
    last = points(run, [status(app("app1", requests=5), at=at) for at in range(2)])[-1]
    assert (last["rate"], last["errors"], last["p50"], last["p99"]) == (0, None, None, None)


def test_times_are_those_of_the_last_ten_seconds(run: Run) -> None:
    slow = app("app1", requests=1000)
    slow["request_duration"]["counts"][2] = 0
    slow["request_duration"]["counts"][9] = 1000  # 0.5 to 1 s, long ago
    statuses = [status(slow, at=at) for at in range(20)]
    for at in range(20, 35):
        statuses.append(copy.deepcopy(statuses[-1]) | {"now": NOW + at})
        statuses[-1]["apps"][0]["request_duration"]["counts"][2] += 10
        statuses[-1]["apps"][0]["requests"]["200"] += 10
    assert points(run, statuses)[-1]["p99"] == pytest.approx(0.0025 + 0.0025 * 0.99)


def test_the_observed_share_rests_on_the_last_minute(run: Run) -> None:
    statuses = [
        status(app("app1", requests=6 * at), app("app2", requests=4 * at), at=at, lost=at)
        for at in range(200)
    ]
    assert observed(run, statuses) == ({"app1": 360, "app2": 240}, 60)


def test_the_observed_share_begins_anew_with_a_route(run: Run) -> None:
    old = [status(app("app1", requests=10 * at), app("app2"), at=at) for at in range(10)]
    new = [
        status(
            app("app1", requests=100 + 7 * at),
            app("app2", requests=3 * at),
            at=10 + at,
            route="ba9876543210",
            changed=9.5,
        )
        for at in range(3)
    ]
    assert observed(run, old + new[:1]) == ({}, 0)
    assert observed(run, old + new) == ({"app1": 14, "app2": 6}, 2)


def test_the_same_route_put_in_again_begins_anew_too(run: Run) -> None:
    old = [status(app("app1", requests=10 * at), at=at) for at in range(10)]
    assert observed(run, [*old, status(app("app1", requests=500), at=10, changed=9.5)]) == ({}, 0)


def test_the_observed_share_leaves_a_restart_out(run: Run) -> None:
    restarted = [status(app("app1", requests=2 * at), at=10 + at) for at in range(1, 4)]
    assert observed(run, steady(range(5)) + restarted)[0] == {"app1": 40 + 4}


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "<b>"])
def test_any_name_counts(run: Run, name: str) -> None:
    statuses = [status(app(name, requests=3 * at), at=at) for at in range(3)]
    assert observed(run, statuses)[0] == {name: 6}
    assert rates(run, statuses, name)[-1] == pytest.approx(3)


def times(run: Run, statuses: list[Status]) -> list[float]:
    """Seconds after NOW of the readings that are kept of these statuses."""
    found = run("history.js", PREPARE + "return readings.map(({at}) => at)", statuses=statuses)
    return [at - NOW for at in found]


def test_no_more_is_kept_than_the_graphs_show(run: Run) -> None:
    assert times(run, steady(range(1000))) == list(range(684, 1000))


def test_the_same_reading_twice_is_one(run: Run) -> None:
    assert times(run, [*steady(range(3)), *steady(range(2, 4))]) == [0, 1, 2, 3]


def test_a_clock_set_back_begins_a_new_history(run: Run) -> None:
    assert times(run, [*steady(range(50, 60)), *steady(range(3))]) == [0, 1, 2]


def test_changes_of_the_route_are_those_of_the_time_shown(run: Run) -> None:
    statuses = [
        status(app("app1"), at=at, changed=changed)
        for at, changed in [(0, -3600), (10, 5), (20, 5), (250, 240)]
    ]
    body = "return m.changes(readings, last.at)"
    assert run("history.js", PREPARE + body, statuses=statuses) == [NOW + 5, NOW + 240]
    statuses.append(status(app("app1"), at=310, changed=240))
    assert run("history.js", PREPARE + body, statuses=statuses) == [NOW + 240]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("m.rate(0)", "0.0"),
        ("m.rate(12.34)", "12.3"),
        ("m.rate(12345.6)", "12,346"),
        ("m.share(2 / 3)", "66.7 %"),
        ("m.errorRate(0.00123)", "0.12 %"),
        ("m.duration(0.00049)", "0.5 ms"),
        ("m.duration(0.00996)", "10 ms"),
        ("m.duration(0.9996)", "1.00 s"),
        ("m.duration(59.96)", "60.0 s"),
        ("m.duration(null)", "\u2013"),
        ("m.age(-0.5)", "0 s"),
        ("m.age(99.9)", "99 s"),
        ("m.age(754)", "12 min 34 s"),
        ("m.age(3 * 3600 + 125)", "3 h 2 min"),
        ("m.age(2 * 86400 + 3600)", "2 d 1 h"),
        ("m.day(86400 * 3, 86400 * 3 + 60).length", 8),
        ("m.day(0, 86400 * 3).includes('1970')", True),
    ],
)
def test_numbers_as_text(run: Run, call: str, expected: object) -> None:
    assert run("format.js", f"return {call}") == expected


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        ("linear(1)", [0, 0.5, 1]),
        ("linear(1.01)", [0, 1, 2]),
        ("linear(5)", [0, 3, 6]),
        ("linear(10.000000000000002)", [0, 5, 10]),  # 10 requests/s, as sums of parts have it
        ("linear(87)", [0, 50, 100]),
        ("linear(0.04)", [0, 0.02, 0.04]),
        ("logarithmic([0.001])", [0.001, 0.01]),
        ("logarithmic([0.0005, 0.3])", [0.0001, 0.001, 0.01, 0.1, 1]),
    ],
)
def test_scales_hold_what_they_show(run: Run, scale: str, ticks: list[float]) -> None:
    found = run("graphs.js", f"const s = m.{scale}; return [s.ticks, s.ticks.map(s.at)]")
    assert found[0] == pytest.approx(ticks)
    assert found[1] == pytest.approx([step / (len(ticks) - 1) for step in range(len(ticks))])


def test_a_gap_parts_a_line(run: Run) -> None:
    body = "return m.runs(points, 'v', {at: (v) => v / 10}, 1000)"
    values = [(990, 5), (995, None), (998, 10), (1000, 0)]
    found = run("graphs.js", body, points=[{"at": at, "v": value} for at, value in values])
    assert found == [[[290, 50]], [[298, 0], [300, 100]]]
