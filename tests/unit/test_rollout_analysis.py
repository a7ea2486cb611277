"""The verdict on a window of requests: passed, failed or inconclusive."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.metrics.histogram import BOUNDS, Histogram
from loadbalancer.metrics.window import AppWindow, Window
from loadbalancer.rollout.analysis import Outcome, Rules, judge, significantly_more, unanswered

RULES = Rules(max_error_rate=0.01, max_p99=0.5, min_samples=100)


def app(good: int, bad: int = 0, failed: int = 0, slow: int = 0) -> AppWindow:
    """An app that was asked so often; `failed` attempts went on to another app."""
    counts = [0] * (len(BOUNDS) + 1)
    counts[3] = good + bad - slow
    counts[-5] = slow
    return AppWindow(
        seconds=1,
        total=good + bad,
        by_code={200: good, 500: bad},
        attempts={"answered": good + bad, "error": failed, "aborted": 0},
        request_duration=Histogram(counts=tuple(counts)),
        upstream_duration=Histogram(),
        header_duration=Histogram(counts=tuple(counts)),
        received=0,
        sent=0,
    )


def window(**apps: AppWindow) -> Window:
    return Window(seconds=1, reset=False, apps=apps, unrouted={}, lost=0)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (app(99), Outcome.INCONCLUSIVE),
        # Most of too few.
        (app(0, 1), Outcome.FAILED),
        (app(1, 1), Outcome.INCONCLUSIVE),
        (app(49, 50), Outcome.FAILED),
        (app(1, failed=2), Outcome.FAILED),
        (app(3, slow=2), Outcome.FAILED),
        (app(4, slow=2), Outcome.INCONCLUSIVE),
        (app(0), Outcome.INCONCLUSIVE),
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


def test_without_metrics_or_after_a_reset_there_is_no_verdict() -> None:
    assert judge(window(app1=app(100)), RULES, ["app2"]).outcome is Outcome.INCONCLUSIVE
    reset = Window(seconds=1, reset=True, apps={"app2": app(500)}, unrouted={}, lost=0)
    assert judge(reset, RULES, ["app2"]).outcome is Outcome.INCONCLUSIVE


def test_an_app_that_fails_is_not_waited_for_by_another_with_too_few_samples() -> None:
    found = judge(window(app2=app(0, 200), app3=app(3)), RULES, ["app2", "app3"])
    assert found.outcome is Outcome.FAILED
    assert "app3" in judge(window(app2=app(200), app3=app(3)), RULES, ["app2", "app3"]).text


def test_slow_clients_are_not_the_apps_fault() -> None:
    quick = app(200)
    slow = replace(quick, request_duration=Histogram(counts=(*(0,) * 15, 200)))
    assert slow.p99 == 60
    assert judge(window(app2=slow), RULES, ["app2"]).outcome is Outcome.PASSED
    compared = replace(RULES, compare=True)
    assert judge(window(app2=slow, app1=app(999)), compared, ["app2"]).outcome is Outcome.PASSED
    assert "p99 10.0 ms" in judge(window(app2=slow), RULES, ["app2"]).text


def test_clients_that_give_up_have_waited_for_the_app() -> None:
    def given_up(waited: int) -> AppWindow:
        counts = [0] * (len(BOUNDS) + 1)
        counts[waited] = 5
        return replace(
            app(0),
            by_code={499: 5},
            attempts={"answered": 0, "aborted": 5},
            header_duration=Histogram(counts=tuple(counts)),
        )

    lenient = replace(RULES, max_p99=60)
    assert (
        "app2 answered none of 5 requests"
        in judge(window(app2=given_up(11)), lenient, ["app2"]).text
    )
    # Those who leave at once have not.
    assert judge(window(app2=given_up(2)), lenient, ["app2"]).outcome is Outcome.INCONCLUSIVE


def test_an_app_owes_answers_by_its_weight() -> None:
    weights = {"app1": 9, "app2": 1}
    silent = replace(app(0), attempts={})

    def found(answers: int, **changes: object) -> str | None:
        rules = replace(RULES, **changes)  # type: ignore[arg-type]
        return unanswered("app2", window(app1=app(answers), app2=silent), weights, rules)

    assert found(62) is None
    assert found(63) == (
        "app2 answered none of about 7 requests in 1.00 s, in which the others answered 63"
    )
    # It may take as long for them as the limit of the p99.
    assert found(1000, max_p99=2) is None
    assert unanswered("app2", window(app2=silent), {"app2": 1}, RULES) is None


def test_only_the_named_apps_are_judged() -> None:
    assert judge(window(app1=app(0, 100), app2=app(100)), RULES, ["app2"]).outcome is Outcome.PASSED


def test_reasons_and_figures() -> None:
    found = judge(window(app2=app(90, 10, failed=5)), RULES, ["app2"])
    assert found.text == (
        "app2 failed 10.00% of 100 requests, limit 1.00%, "
        "4.76% of 105 attempts at app2 failed, limit 1.00% "
        "(app2: 100 requests, 10.00% errors, p99 10.0 ms, 5 failed attempts)"
    )


def test_compared_with_the_others() -> None:
    rules = Rules(max_error_rate=0.2, max_p99=60, min_samples=100, compare=True)
    cases = [
        (app(900, 100), app(1000), Outcome.FAILED),
        (app(900, 100), app(900, 100), Outcome.PASSED),
        (app(99, 1), app(1000), Outcome.PASSED),
        (app(1000, slow=50), app(1000), Outcome.FAILED),
        (app(1000, slow=1), app(1000), Outcome.PASSED),
        # The other app has too few requests for a comparison.
        (app(900, 100), app(99), Outcome.PASSED),
    ]
    for one, other, outcome in cases:
        assert judge(window(app2=one, app1=other), rules, ["app2"]).outcome is outcome


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_more_errors_never_improve_the_verdict(good: int, bad: int, failed: int) -> None:
    order = [Outcome.PASSED, Outcome.FAILED]
    first = judge(window(app2=app(good, bad, failed)), RULES, ["app2"]).outcome
    worse = judge(window(app2=app(good, bad + good + 1, failed)), RULES, ["app2"]).outcome
    if first is not Outcome.INCONCLUSIVE:
        assert order.index(worse) >= order.index(first)


def test_significance() -> None:
    assert significantly_more(10, 100, 0, 1000)
    assert not significantly_more(1, 100, 0, 1000)
    assert not significantly_more(0, 100, 10, 1000)
    assert not significantly_more(5, 100, 50, 1000)
    assert not significantly_more(3, 3, 0, 0)
    # Fisher's own example: 3 of 4 against 1 of 4 has a probability of 0.24.
    assert not significantly_more(3, 4, 1, 4)
