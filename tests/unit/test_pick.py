"""The rotation in nginx: pick.js without nginx, and the table that Python writes for it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from math import gcd
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadbalancer.nginx import shares
from tests.njs import Call, loaded
from tests.rotation import turns

MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
WEIGHTS = st.dictionaries(
    st.integers(1, 400).map("server{}:5001".format), st.integers(0, 1000), min_size=1, max_size=50
).filter(lambda weights: any(weights.values()))
FEW = st.dictionaries(
    st.integers(1, 9).map("server{}:5001".format), st.integers(0, 40), min_size=1, max_size=6
).filter(lambda weights: any(weights.values()))
REASONS = st.sampled_from(["check", "error", "connect_failed"])


@pytest.fixture(scope="module")
def pick() -> Iterator[Call]:
    """pick.js in a process of its own."""
    with loaded("pick.js") as found:
        yield found


def serve(pick: Call, table: dict[str, Any], start: int, number: int) -> list[str]:
    """Return the servers of so many turns from one on."""
    return [pick("choose", table, turn) for turn in range(start, start + number)]


def table(weights: dict[str, int]) -> dict[str, Any]:
    """Build the table as the route has it."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(shares.rotation(weights))))
    return found


@MANY
@given(weights=WEIGHTS)
def test_python_and_nginx_build_the_same_table(weights: dict[str, int], pick: Call) -> None:
    assert pick("table", list(weights), list(weights.values())) == table(weights)


@given(WEIGHTS)
def test_the_stride_meets_every_position_of_a_cycle(weights: dict[str, int]) -> None:
    found = shares.rotation(weights)
    assert gcd(found.stride, found.total) == 1
    # A product of both is an exact number in JavaScript.
    assert found.stride * found.total < 2**53


@MANY
@given(weights=FEW, start=st.integers(0, 2**40))
def test_every_window_of_one_cycle_is_exact(
    weights: dict[str, int], start: int, pick: Call
) -> None:
    built = table(weights)
    served: Counter[str] = Counter(serve(pick, built, start, built["total"]))
    divisor = gcd(*weights.values())
    assert served == Counter(
        {name: weight // divisor for name, weight in weights.items() if weight}
    )


@MANY
@given(weights=st.lists(st.integers(0, 60), min_size=1, max_size=8).filter(any))
def test_the_turns_are_those_of_the_model(weights: list[int], pick: Call) -> None:
    names = [f"server{i}" for i in range(len(weights))]
    built = table(dict(zip(names, weights, strict=True)))
    served = serve(pick, built, 0, 100)
    assert served == [names[i] for i in turns(weights, 100)]


@MANY
@given(weights=WEIGHTS, data=st.data())
def test_without_some_servers_the_others_keep_their_ratios(
    weights: dict[str, int], data: st.DataObject, pick: Call
) -> None:
    out = data.draw(st.sets(st.sampled_from(sorted(weights)), max_size=len(weights)))
    left = {name: 0 if name in out else weight for name, weight in weights.items()}
    assert pick("without", table(weights), sorted(out)) == table(left)


@MANY
@given(weights=WEIGHTS, data=st.data())
def test_never_is_the_last_server_ejected(
    weights: dict[str, int], data: st.DataObject, pick: Call
) -> None:
    marks = data.draw(st.dictionaries(st.sampled_from([*weights, "gone:1"]), REASONS))
    served = {name for name, weight in weights.items() if weight}
    out = set(pick("ejected", table(weights), marks))
    assert out < served
    assert out <= marks.keys()
    # A server without a mark gets requests, and if all have one, those with the lesser mark do.
    if served - marks.keys():
        assert out == served & marks.keys()
    elif out:
        assert out == {name for name in served if marks[name] == "connect_failed"}


def test_a_route_without_shares_has_an_empty_table() -> None:
    assert shares.rotation({"app1": 0}) == shares.Rotation((), (), 0, 0)


def test_one_server_gets_every_request(pick: Call) -> None:
    assert serve(pick, table({"app1": 7}), 1, 3) == ["app1"] * 3
