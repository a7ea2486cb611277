"""Shares are exact, whatever the weights and the replicas."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.nginx import shares

WEIGHTS = st.dictionaries(
    st.sampled_from(["app1", "app2", "app3", "app4", "app5"]), st.integers(0, 1000), min_size=1
).filter(lambda weights: any(weights.values()))
REPLICAS = st.fixed_dictionaries({f"app{n}": st.integers(1, 12) for n in range(1, 6)})


@given(WEIGHTS, REPLICAS)
def test_share_of_an_app_is_its_weight_whatever_its_replicas(
    weights: dict[str, int], replicas: dict[str, int]
) -> None:
    each = shares.server_weights(weights, replicas)
    cycle = shares.cycle_length(each, replicas)
    total = sum(weights.values())
    for app, weight in weights.items():
        assert Fraction(each[app] * replicas[app], cycle) == Fraction(weight, total)


@given(WEIGHTS, REPLICAS)
def test_no_shorter_cycle_is_exact(weights: dict[str, int], replicas: dict[str, int]) -> None:
    each = shares.server_weights(weights, replicas)
    for divisor in range(2, 14):
        assert any(weight % divisor for weight in each.values())


@given(WEIGHTS)
def test_percentages_add_up(weights: dict[str, int]) -> None:
    percentages = shares.percentages(weights)
    assert percentages.keys() == weights.keys()
    # As they are written: floats add an error of their own, and four may each be off by 0.005.
    written = [Decimal(str(percentage)) for percentage in percentages.values()]
    assert abs(sum(written, Decimal(-100))) <= Decimal("0.005") * len(weights)


def test_the_tutorial() -> None:
    weights = {"app1": 6, "app2": 4}
    assert shares.percentages(weights) == {"app1": 60.0, "app2": 40.0}
    assert shares.server_weights(weights, Counter(app1=1, app2=1)) == {"app1": 3, "app2": 2}
    assert shares.server_weights(weights, {"app1": 1, "app2": 3}) == {"app1": 9, "app2": 2}
