"""The model of the rotation."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.rotation import turns

WEIGHTS = st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any)


@given(WEIGHTS, st.integers(0, 400))
def test_every_window_is_exact(weights: list[int], start: int) -> None:
    cycle = sum(weights)
    served = Counter(turns(weights, start + cycle)[start:])
    assert served == Counter({i: weight for i, weight in enumerate(weights) if weight})


def test_it_is_smooth() -> None:
    assert turns([3, 2], 10) == [0, 1, 0, 1, 0] * 2
    assert turns([5, 1, 1], 7) == [0, 0, 0, 1, 0, 2, 0]
