"""The model of nginx's rotation."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.rotation import smooth_weighted

WEIGHTS = st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any)


@given(WEIGHTS, st.integers(1, 3))
def test_every_cycle_is_exact(weights: list[int], cycles: int) -> None:
    served = Counter(smooth_weighted(weights, cycles * sum(weights)))
    assert served == Counter({i: w * cycles for i, w in enumerate(weights) if w})


def test_it_is_smooth() -> None:
    assert smooth_weighted([5, 1, 1], 7) == [0, 0, 1, 0, 2, 0, 0]
