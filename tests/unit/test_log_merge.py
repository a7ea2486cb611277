"""The logs of several containers become one, in the order of time."""

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.logs.merge import Lines, Merger, Position
from loadbalancer.logs.parse import Line
from tests.loglines import AT, NGINX, stamp


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), max_size=5),
    st.lists(st.integers(1, 5), min_size=1),
    st.randoms(use_true_random=False),
)
def test_long_lines_are_put_together(texts: list[str], sizes: list[int], random: Any) -> None:
    """Each text is cut into pieces, and the pieces of all come in turns."""
    remaining: dict[str, list[bytes]] = {}
    for number, text in enumerate(texts):
        data = f"{text}\n".encode()
        pieces: list[bytes] = []
        while data:
            size = sizes[len(pieces) % len(sizes)]
            pieces.append(f"{stamp(number)} ".encode() + data[:size])
            data = data[size:]
        remaining[stamp(number)] = pieces
    lines, found = Lines(), []
    while remaining:
        at = random.choice(sorted(remaining))
        found += list(lines.add(remaining[at].pop(0)))
        if not remaining[at]:
            del remaining[at]
    assert sorted(found) == [(stamp(number), text) for number, text in enumerate(texts)]
    assert not list(lines.rest())


def test_lines_without_end_or_time_are_not_lost() -> None:
    lines = Lines()
    assert not list(lines.add(f"{AT} cut ".encode()))
    assert list(lines.rest()) == [(AT, "cut ")]
    assert not list(lines.rest())
    assert list(lines.add(b"Error grabbing logs: EOF\n")) == [(AT, "Error grabbing logs: EOF")]
    assert list(lines.add(f"{AT} \xff\r\n".encode("latin-1"))) == [(AT, "\ufffd")]
    endless = f"{AT} ".encode() + b"x" * 16384
    assert [len(text) for _ in range(65) for _, text in lines.add(endless)] == [1 << 20]


@given(
    st.lists(st.integers(0, 60), unique=True).map(sorted),
    st.integers(1, 10),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_a_log_is_read_on_without_gap_or_repetition(
    times: list[int], tail: int, once: int, again: int
) -> None:
    position = Position()

    def read(upto: int, tail: int | None = None) -> list[str]:
        """Read as Docker gives it: the last lines, or all from a second on."""
        since = position.resume() or 0
        there = [stamp(number) for number in times if number <= upto]
        there = [one for one in there if datetime.fromisoformat(one).timestamp() >= since]
        return [one for one in (there[-tail:] if tail else there) if position.passes(one)]

    first = read(once, tail)
    rest = [*read(once), *read(max(once, again)), *read(60)]
    every = [stamp(number) for number in times]
    assert first == [one for one in every if one <= stamp(once)][-tail:]
    assert first + rest == [one for one in every if not first or one >= first[0]]


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3)), max_size=30))
def test_lines_that_come_in_time_come_out_in_order(lines: list[tuple[int, int]]) -> None:
    """Each is written at some tenth of a second, and comes up to 3 tenths later."""
    merger, found = Merger(hold=0.31), []
    for written, late in sorted(lines, key=sum):
        now = (written + late) / 10
        found += list(merger.due(now))
        merger.add(Line(stamp(written), NGINX, ""), now)
    found += list(merger.due(1000))
    assert [one.time for one in found] == sorted(stamp(written) for written, _ in lines)
    assert not merger


def test_a_line_is_held_no_longer_than_needed() -> None:
    merger = Merger(hold=1)
    late, early = Line(stamp(2), NGINX, ""), Line(stamp(1), NGINX, "")
    merger.add(late, 10.0)
    assert not list(merger.due(10.9))
    merger.add(early, 10.9)
    assert list(merger.due(11.9)) == [early, late]
    assert not list(merger.due(20.0))
