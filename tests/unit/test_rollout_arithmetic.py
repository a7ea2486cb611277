"""Weights on the way, plans, quantities, and chance: the arithmetic of a rollout."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadbalancer.config.units import format_percentage, parse_duration, parse_percentage
from loadbalancer.rollout import plan
from loadbalancer.rollout.blend import between, nearest, shares
from loadbalancer.rollout.comparison import more

APPS = ("app1", "app2", "app3")
WEIGHTS = st.dictionaries(st.sampled_from(APPS), st.integers(0, 1000), min_size=1).filter(
    lambda weights: any(weights.values())
)
PARTS = st.fractions(0, 1, max_denominator=1000)


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
def test_shares_that_can_be_exact_are(text: str, expected: dict[str, int]) -> None:
    assert between({"app1": 7, "app2": 0}, {"app1": 0, "app2": 100}, parse_percentage(text)) == expected


def test_a_part_of_the_way_is_from_share_to_share() -> None:
    # From 60:40 to 0:100 half way is 30:70, however the weights were written.
    assert between({"app1": 600, "app2": 400}, {"app1": 0, "app2": 1}, Fraction(1, 2)) == {
        "app1": 3,
        "app2": 7,
    }


def test_the_smallest_share_is_one_of_a_thousand() -> None:
    # It would be one of a million, which no step could ever be judged by.
    found = between({"app1": 1, "app2": 0}, {"app1": 999, "app2": 1}, parse_percentage("0.1"))
    assert found == {"app1": 1000, "app2": 1}


@given(WEIGHTS, WEIGHTS, PARTS)
@settings(max_examples=60, deadline=None)
def test_weights_on_the_way(before: dict[str, int], target: dict[str, int], part: Fraction) -> None:
    found = between(before, target, part)
    assert all(type(weight) is int and 0 <= weight <= 1000 for weight in found.values())
    if part in (0, 1):
        assert found == (target if part else before)
        return
    old, new = shares(before), shares(target)
    for app, share in shares(found).items():
        exact = (1 - part) * old.get(app, Fraction(0)) + part * new.get(app, Fraction(0))
        # Who gets anything gets a request now and then, and nobody else does.
        assert bool(exact) == bool(share)
        assert abs(share - exact) <= Fraction(1, 1000)


@given(st.dictionaries(st.sampled_from(APPS), st.integers(1, 1000), min_size=1))
@settings(max_examples=60, deadline=None)
def test_what_weights_can_express_is_exact(weights: dict[str, int]) -> None:
    assert shares(nearest(shares(weights))) == shares(weights)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
@settings(max_examples=20, deadline=None)
def test_no_two_weights_come_nearer(one: int, other: int) -> None:
    exact = {"app1": Fraction(one, one + other), "app2": Fraction(other, one + other)}
    found = shares(nearest(exact))
    off = abs(found["app1"] - exact["app1"])
    for first in range(1, 1001):
        # The best partner of a first weight is one of the two around the exact one.
        second = min(1000, max(1, first * other // one))
        for candidate in (second, min(1000, second + 1)):
            assert off <= abs(Fraction(first, first + candidate) - exact["app1"])


def test_plans() -> None:
    steps = plan.steps("5, 10%,100", 30)
    assert [(float(one.part), one.seconds) for one in steps] == [(0.05, 30), (0.1, 30), (1, 30)]
    every = plan.linear("30%/1min")
    assert [(float(one.part), one.seconds) for one in every] == [
        (0.3, 60),
        (0.6, 60),
        (0.9, 60),
        (1, 60),
    ]
    assert [one.seconds for one in plan.canary("5%/600s", 30)] == [600, 30]
    assert [float(one.part) for one in plan.at_once(1)] == [1]


@given(st.integers(1, 1000))
def test_a_linear_plan_rises_to_the_end(thousandths: int) -> None:
    steps = plan.linear(f"{thousandths / 10}%/1s")
    assert steps[-1].part == 1
    assert all(low.part < high.part for low, high in pairwise(steps))


@pytest.mark.parametrize("text", ["", "5,5,100", "10,5,100", "5,10", "0,100", "x", "5,101", "-5"])
def test_steps_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        plan.steps(text, 1)


@pytest.mark.parametrize("text", ["", "5", "5%", "0%/60s", "0.05%/60s", "5%/x", "x/60s"])
def test_paces_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plan.linear(text)


def test_quantities() -> None:
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


def test_more_than_chance() -> None:
    assert more(10, 100, 0, 1000)
    assert not more(1, 100, 0, 1000)
    assert not more(0, 100, 10, 1000)
    assert not more(5, 100, 50, 1000)
    assert not more(3, 3, 0, 0)
    # Fisher's own example: 3 of 4 against 1 of 4 is 0.24.
    assert not more(3, 4, 1, 4)
