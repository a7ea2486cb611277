"""What the benchmark makes of its measurements."""

import re
from collections import Counter
from collections.abc import Sequence

import pytest

from benchmarks import comparison, peer_configs, report
from benchmarks.load import OTHERS, WRK, Case, Figures
from benchmarks.processes import APPS, BALANCER, ROLES
from benchmarks.report import Comparison, Measurement
from tests.docs import rows

CASE = Case(32, True, 1024)
SERVERS = {"app1:5001": 6, "app2:5002": 4}


def figures(rate: float, *, failed: int = 0, others: float = 0.0) -> Figures:
    spent = dict.fromkeys((*ROLES, WRK, OTHERS), 20.0)
    return Figures(rate, 1.0, 9.0, failed, spent, {BALANCER: 30.0, APPS: 100.0}, others)


def compared(own: Sequence[float], its: Sequence[float]) -> Comparison:
    measurements = [
        Measurement(number, name, CASE, figures(rate))
        for name, rates in (("this stack", own), ("Caddy", its))
        for number, rate in enumerate(rates, 1)
    ]
    return Comparison("2 processors", 5.0, {"this stack": "1", "Caddy": "v2"}, measurements)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    # The machine is ten times as slow in the second round, for both.
    found = compared([1000, 100, 900], [500, 50, 300])
    assert found.ratio("Caddy", CASE) == 2.0
    assert found.ratio("this stack", CASE) == 1.0
    assert found.median("Caddy", CASE, lambda one: one.rate) == 300
    assert (found.reference, found.rounds, found.cases) == ("this stack", 3, [CASE])


def test_a_table_has_a_row_for_each_peer() -> None:
    found = compared([1000, 800], [500, 400])
    failed = Measurement(3, "Caddy", CASE, figures(450, failed=3))
    more = [*found.measurements, failed, Measurement(3, "this stack", CASE, figures(900))]
    found = Comparison(found.machine, found.seconds, found.versions, more)
    text = report.table(found, CASE)
    assert len({len(line) for line in text.splitlines()}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert cells[0][:5] == ["balancer", "requests/s", "ratio", "p50 ms", "p99 ms"]
    assert cells[2][:5] == ["this stack", "900", "1.00", "1.0", "9.0"]
    assert cells[3][:3] == ["Caddy", "450", "2.00"]
    assert [row[-3:] for row in cells[2:]] == [["30", "100", "0"], ["30", "100", "3"]]


def test_a_busy_machine_is_told() -> None:
    assert report.warning(compared([1.0], [1.0])) is None
    busy = Measurement(2, "Caddy", CASE, figures(1.0, others=0.3))
    warning = report.warning(Comparison("", 5.0, {"Caddy": ""}, [busy]))
    assert warning is not None
    assert "30%" in warning


def test_the_summary_has_versions_and_tables() -> None:
    text = report.summary(compared([1000], [500]))
    assert ["Caddy", "v2"] in rows(text, "| balancer | version |")
    assert report.table(compared([1000], [500]), CASE) in text
    assert f"## {CASE}" in text


def test_a_comparison_is_read_as_it_was_written() -> None:
    found = compared([1000, 900], [500, 600])
    assert report.from_json(report.to_json(found)) == found


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_peers_take_turns_in_alternating_order(rounds: int) -> None:
    names, kinds = ["a", "b", "c"], comparison.cases([32, 256], ["keep", "close"], [1, 100])
    assert len(kinds) == 8
    planned = list(comparison.turns(names, kinds, rounds))
    assert set(Counter(planned).values()) == {1}
    assert len(planned) == rounds * len(kinds) * len(names)
    by_round = {
        number: [name for one, _, name in planned if one == number] for number, _, _ in planned
    }
    assert by_round[1][:3] == names
    assert all(order[:3] == names[::-1] for number, order in by_round.items() if number % 2 == 0)


@pytest.mark.parametrize(
    "write", [peer_configs.nginx, peer_configs.haproxy, peer_configs.caddy, peer_configs.tutorial]
)
def test_each_configuration_has_the_servers_with_their_weights(write: object) -> None:
    assert callable(write)
    text = write(SERVERS)
    assert re.findall(r"app\d:\d+", text) == list(SERVERS)
    assert re.findall(r"(?<=weight[ =])\d+|(?<=robin )[\d ]+", text) in (["6", "4"], ["6 4"])
    assert str(peer_configs.PORT) in text
