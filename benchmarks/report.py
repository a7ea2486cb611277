"""Report of a comparison: medians of the rounds, ratios to the peers, tables, and the summary."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.load import WRK, Case, Figures
from benchmarks.processes import APPS, BALANCER, ROLES

SHOWN = (*ROLES, WRK)
"""Whose processor time the tables show."""

BUSY = 0.05
"""Share of the host's processor time for other processes above which a run is not a valid one."""

_TITLES = (
    "balancer",
    "requests/s",
    "ratio",
    "p50 ms",
    "p99 ms",
    *(f"{role} us" for role in SHOWN),
    "balancer MiB",
    "apps MiB",
    "failed",
)


@dataclass(frozen=True)
class Measurement:
    """What one load on one peer gave."""

    round: int
    peer: str
    case: Case
    figures: Figures


@dataclass(frozen=True)
class Comparison:
    """A whole run.

    `machine` describes the host; `versions` has that of each peer by its name, the reference of
    the ratios first.
    """

    machine: str
    seconds: float
    versions: Mapping[str, str]
    measurements: Sequence[Measurement]

    @property
    def reference(self) -> str:
        """The peer whose throughput is divided by that of each other one."""
        return next(iter(self.versions))

    @property
    def cases(self) -> list[Case]:
        """The kinds of load, in the order of the run."""
        return list(dict.fromkeys(one.case for one in self.measurements))

    @property
    def rounds(self) -> int:
        """The number of rounds."""
        return len({one.round for one in self.measurements})

    @property
    def others(self) -> float:
        """The largest share of processor time that a measurement lost to other processes."""
        return max(one.figures.others for one in self.measurements)

    def of(self, peer: str, case: Case) -> dict[int, Figures]:
        """Find the figures of a peer by round."""
        return {
            one.round: one.figures
            for one in self.measurements
            if (one.peer, one.case) == (peer, case)
        }

    def median(self, peer: str, case: Case, read: Callable[[Figures], float]) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(map(read, self.of(peer, case).values()))

    def processor(self, peer: str, case: Case, role: str) -> float:
        """Return the median of a role's processor time for one request, in microseconds."""
        return self.median(peer, case, lambda one: one.processor[role])

    def ratio(self, peer: str, case: Case) -> float:
        """Return the median of the reference's throughput divided by a peer's of the same round."""
        own, its = self.of(self.reference, case), self.of(peer, case)
        return statistics.median(own[number].rate / its[number].rate for number in its)


def table(comparison: Comparison, case: Case) -> str:
    """Write the figures of a kind of load as a table in Markdown."""
    rows = [_row(comparison, peer, case) for peer in comparison.versions]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "".join(_line(cells, widths) for cells in (_TITLES, rule, *rows))


def _row(comparison: Comparison, peer: str, case: Case) -> list[str]:
    def median(read: Callable[[Figures], float]) -> float:
        return comparison.median(peer, case, read)

    return [
        peer,
        f"{median(lambda one: one.rate):.0f}",
        f"{comparison.ratio(peer, case):.2f}",
        f"{median(lambda one: one.p50):.1f}",
        f"{median(lambda one: one.p99):.1f}",
        *(f"{comparison.processor(peer, case, role):.0f}" for role in SHOWN),
        f"{median(lambda one: one.memory[BALANCER]):.0f}",
        f"{median(lambda one: one.memory[APPS]):.0f}",
        f"{sum(one.failed for one in comparison.of(peer, case).values())}",
    ]


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    texts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
    return f"| {' | '.join(texts)} |\n"


def tables(comparison: Comparison) -> str:
    """Write the tables of all kinds of load, each under a heading."""
    return "\n".join(f"## {case}\n\n{table(comparison, case)}" for case in comparison.cases)


def warning(comparison: Comparison) -> str | None:
    """Tell why a run is not a valid one; None when nothing is known against it."""
    if comparison.others <= BUSY:
        return None
    return (
        f"Other processes took up to {comparison.others:.0%} of this machine's processor time "
        f"during a measurement; above {BUSY:.0%} the figures are not valid."
    )


def summary(comparison: Comparison) -> str:
    """Write docs/benchmarks.md."""
    versions = "".join(f"| {peer} | {said} |\n" for peer, said in comparison.versions.items())
    return f"""\
# Benchmarks

`make bench` compares this stack with other balancers. It writes this page with
`.venv/bin/python -m benchmarks.comparison --summary`.

All but the tutorial's stack pass requests to the same containers of apps, with the weights 6 and 4.
All publish their port through Docker. This stack has its default settings, with its log and its
counters. Bare nginx has no log, HAProxy and Caddy log JSON. The tutorial's stack is two development
servers of Flask behind nginx.

| balancer | version |
| --- | --- |
{versions}
- {comparison.machine}; wrk runs on the same machine.
- Medians of {comparison.rounds} rounds, with {comparison.seconds:g} s for each figure of a round.
- `ratio`: requests/s of {comparison.reference} divided by those of the balancer, in the same round.
- `us`: processor time for one request. The engine stores what the containers log.
- `MiB`: proportional set size after the load.
- Other processes took at most {comparison.others:.0%} of the processor time.

{tables(comparison)}"""


def to_json(comparison: Comparison) -> str:
    """Write everything that was measured."""
    return json.dumps(asdict(comparison), indent=1) + "\n"


def from_json(text: str) -> Comparison:
    """Read what `to_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    measurements = [
        Measurement(**{**one, "case": Case(**one["case"]), "figures": Figures(**one["figures"])})
        for one in data.pop("measurements")
    ]
    return Comparison(**data, measurements=measurements)
