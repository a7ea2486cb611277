"""Plans of a rollout, and the weights between its start and its target."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loadbalancer.config.model import RolloutSettings
from loadbalancer.config.units import format_percentage, parse_duration, parse_percentage
from loadbalancer.rollout.plan import (
    Plan,
    confirmed_steps,
    interpolate,
    nearest,
    plan_from_settings,
    shares,
)

APPS = ("app1", "app2", "app3")
WEIGHTS = st.dictionaries(st.sampled_from(APPS), st.integers(0, 1000), min_size=1).filter(
    lambda weights: any(weights.values())
)
FRACTIONS = st.fractions(0, 1, max_denominator=1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", {"app1": 19, "app2": 1}),
        ("12.5", {"app1": 7, "app2": 1}),
        ("50", {"app1": 1, "app2": 1}),
        ("0.1", {"app1": 999, "app2": 1}),
        ("100", {"app1": 0, "app2": 100}),
        ("0", {"app1": 7, "app2": 0}),
    ],
)
def test_exact_shares_stay_exact(text: str, expected: dict[str, int]) -> None:
    assert (
        interpolate({"app1": 7, "app2": 0}, {"app1": 0, "app2": 100}, parse_percentage(text))
        == expected
    )


def test_a_fraction_of_the_way_is_measured_in_shares() -> None:
    # From 60:40 to 0:100 half way is 30:70, however the weights were written.
    assert interpolate({"app1": 600, "app2": 400}, {"app1": 0, "app2": 1}, Fraction(1, 2)) == {
        "app1": 3,
        "app2": 7,
    }


def test_the_smallest_share_is_one_of_a_thousand() -> None:
    # One in a million would be exact, and no step could be judged by it.
    found = interpolate({"app1": 1, "app2": 0}, {"app1": 999, "app2": 1}, parse_percentage("0.1"))
    assert found == {"app1": 1000, "app2": 1}


@given(WEIGHTS, WEIGHTS, FRACTIONS)
@settings(max_examples=60, deadline=None)
def test_weights_between_two_others(
    before: dict[str, int], target: dict[str, int], fraction: Fraction
) -> None:
    found = interpolate(before, target, fraction)
    assert all(type(weight) is int and 0 <= weight <= 1000 for weight in found.values())
    if fraction in (0, 1):
        assert found == (target if fraction else before)
        return
    old, new = shares(before), shares(target)
    for app, share in shares(found).items():
        exact = (1 - fraction) * old.get(app, Fraction(0)) + fraction * new.get(app, Fraction(0))
        # An app has a weight if and only if its exact share is above 0.
        assert bool(exact) == bool(share)
        assert abs(share - exact) <= Fraction(1, 1000)


@given(st.dictionaries(st.sampled_from(APPS), st.integers(1, 1000), min_size=1))
@settings(max_examples=60, deadline=None)
def test_shares_of_whole_numbers_are_exact(weights: dict[str, int]) -> None:
    assert shares(nearest(shares(weights))) == shares(weights)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
@settings(max_examples=20, deadline=None)
def test_no_other_weights_are_nearer(one: int, other: int) -> None:
    exact = {"app1": Fraction(one, one + other), "app2": Fraction(other, one + other)}
    found = shares(nearest(exact))
    off = abs(found["app1"] - exact["app1"])
    for first in range(1, 1001):
        # The best partner of a first weight is one of the two around the exact one.
        second = min(1000, max(1, first * other // one))
        for candidate in (second, min(1000, second + 1)):
            assert off <= abs(Fraction(first, first + candidate) - exact["app1"])


def plan(**settings: object) -> Plan:
    return plan_from_settings(RolloutSettings.model_validate(settings))


def test_plans() -> None:
    steps = plan(steps="5, 10%,100", stepTime="30s")
    assert [(float(one.fraction), one.seconds) for one in steps] == [(0.05, 30), (0.1, 30), (1, 30)]
    every = plan(linear="30%/1min")
    assert [(float(one.fraction), one.seconds) for one in every] == [
        (0.3, 60),
        (0.6, 60),
        (0.9, 60),
        (1, 60),
    ]
    canary = plan(canary="5%/600s", stepTime="20s")
    assert [(float(one.fraction), one.seconds) for one in canary] == [(0.05, 600), (1, 20)]
    assert [(float(one.fraction), one.seconds) for one in plan(atOnce=True)] == [(1, 30)]
    assert [float(one.fraction) for one in plan()] == [0.05, 0.1, 0.25, 0.5, 1]


def test_steps_to_confirm() -> None:
    for confirm, steps in ((None, set()), (2, {2}), ("1, 3", {1, 3}), ("all", {1, 2, 3, 4, 5})):
        settings = RolloutSettings.model_validate({} if confirm is None else {"confirm": confirm})
        assert confirmed_steps(settings) == steps


@given(st.integers(1, 1000))
def test_a_linear_plan_rises_to_the_end(thousandths: int) -> None:
    steps = plan(linear=f"{thousandths / 10}%/1s")
    assert steps[-1].fraction == 1
    assert all(low.fraction < high.fraction for low, high in pairwise(steps))


@pytest.mark.parametrize("text", ["", "5,5,100", "10,5,100", "5,10", "0,100", "x", "5,101", "-5"])
def test_invalid_steps(text: str) -> None:
    with pytest.raises(ValidationError, match="steps"):
        plan(steps=text)


@pytest.mark.parametrize("text", ["", "5", "5%", "0%/60s", "0.05%/60s", "5%/x", "x/60s"])
def test_invalid_paces(text: str) -> None:
    with pytest.raises(ValidationError, match="linear"):
        plan(linear=text)


def test_units() -> None:
    assert parse_percentage("0.5 %") == Fraction(1, 200)
    assert [parse_duration(text) for text in ("500ms", "60", "60s", "10min", "1h")] == [
        Fraction(1, 2),
        60,
        60,
        600,
        3600,
    ]
    assert format_percentage(Fraction(1, 8)) == "12.5%"
    for text in ("1d", "ms", "-1s", "1e3", ""):
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)
