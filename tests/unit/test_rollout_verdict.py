"""What a window says of an app: good, bad, or nothing yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.metrics.histogram import BOUNDS, Histogram
from loadbalancer.metrics.window import AppWindow, Window
from loadbalancer.rollout.verdict import Outcome, Rules, judge

RULES = Rules(max_error_rate=0.01, max_p99=0.5, min_samples=100)


def app(good: int, bad: int = 0, failed: int = 0, slow: int = 0) -> AppWindow:
    """An app that was asked so often; `failed` tries went on to another app."""
    counts = [0] * (len(BOUNDS) + 1)
    counts[3] = good + bad - slow
    counts[-5] = slow
    return AppWindow(
        seconds=1,
        total=good + bad,
        by_code={200: good, 500: bad},
        tries={"answered": good + bad, "error": failed, "aborted": 0},
        request_duration=Histogram(counts=tuple(counts)),
        upstream_duration=Histogram(),
        received=0,
        sent=0,
    )


def window(**apps: AppWindow) -> Window:
    return Window(seconds=1, reset=False, apps=apps, unrouted={}, lost=0)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (app(99), Outcome.HOLD),
        (app(0, 99), Outcome.HOLD),
        (app(0), Outcome.HOLD),
        (app(100), Outcome.PASSED),
        (app(99, 1), Outcome.PASSED),
        (app(98, 2), Outcome.FAILED),
        (app(99, failed=1), Outcome.PASSED),
        (app(98, failed=2), Outcome.FAILED),
        (app(0, failed=100), Outcome.FAILED),
        (app(100, slow=1), Outcome.PASSED),
        (app(100, slow=2), Outcome.FAILED),
    ],
)
def test_limits_and_the_minimum_of_samples(one: AppWindow, outcome: Outcome) -> None:
    assert judge(window(app2=one), RULES, ["app2"]).outcome is outcome


def test_without_an_app_or_with_new_counters_there_is_no_verdict() -> None:
    assert judge(window(app1=app(100)), RULES, ["app2"]).outcome is Outcome.HOLD
    anew = Window(seconds=1, reset=True, apps={"app2": app(500)}, unrouted={}, lost=0)
    assert judge(anew, RULES, ["app2"]).outcome is Outcome.HOLD


def test_only_those_that_gain_are_judged() -> None:
    assert judge(window(app1=app(0, 100), app2=app(100)), RULES, ["app2"]).outcome is Outcome.PASSED


def test_reasons_and_figures() -> None:
    found = judge(window(app2=app(90, 10, failed=5)), RULES, ["app2"])
    assert found.text == (
        "app2 failed 10.00% of 100 requests, limit 1.00%, "
        "4.76% of 105 tries at app2 failed, limit 1.00% "
        "(app2: 100 requests, 10.00% errors, p99 10.0 ms, 5 failed tries)"
    )


def test_compared_with_the_others() -> None:
    rules = Rules(max_error_rate=0.2, max_p99=60, min_samples=100, compare=True)
    cases = [
        (app(900, 100), app(1000), Outcome.FAILED),
        (app(900, 100), app(900, 100), Outcome.PASSED),
        (app(99, 1), app(1000), Outcome.PASSED),
        (app(1000, slow=50), app(1000), Outcome.FAILED),
        (app(1000, slow=1), app(1000), Outcome.PASSED),
        # Too few to compare with.
        (app(900, 100), app(99), Outcome.PASSED),
    ]
    for one, other, outcome in cases:
        assert judge(window(app2=one, app1=other), rules, ["app2"]).outcome is outcome


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_more_errors_never_make_it_better(good: int, bad: int, failed: int) -> None:
    order = [Outcome.PASSED, Outcome.FAILED]
    first = judge(window(app2=app(good, bad, failed)), RULES, ["app2"]).outcome
    worse = judge(window(app2=app(good, bad + good + 1, failed)), RULES, ["app2"]).outcome
    if first is not Outcome.HOLD:
        assert order.index(worse) >= order.index(first)
