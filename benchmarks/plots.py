"""Plots of a comparison, as PNG files."""

from operator import attrgetter
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.load import Case
from benchmarks.report import SHOWN, Comparison

_INCHES = (9, 4.5)


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write one file for each kind of load, and return their paths."""
    return [_write(comparison, case, folder) for case in comparison.cases]


def _write(comparison: Comparison, case: Case, folder: Path) -> Path:
    figure = Figure(figsize=_INCHES, layout="constrained")
    rates, latencies, processor = figure.subplots(1, 3)
    figure.suptitle(str(case))
    _bars(rates, "requests/s", comparison, case, ("rate",))
    _bars(latencies, "latency, ms", comparison, case, ("p50", "p99"))
    names = list(comparison.versions)
    below = [0.0] * len(names)
    for role in SHOWN:
        heights = [comparison.processor(name, case, role) for name in names]
        processor.bar(names, heights, bottom=below, label=role)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    _finish(processor, "processor time for a request, us")
    kept = "keep" if case.keep_alive else "close"
    path = folder / f"{case.connections}-{kept}-{case.size}.png"
    figure.savefig(path, dpi=120)
    return path


def _bars(
    axes: Axes, title: str, comparison: Comparison, case: Case, fields: tuple[str, ...]
) -> None:
    names = list(comparison.versions)
    width = 0.8 / len(fields)
    for number, field in enumerate(fields):
        heights = [comparison.median(name, case, attrgetter(field)) for name in names]
        places = [place + number * width for place in range(len(names))]
        axes.bar(places, heights, width, label=field)
    middle = (len(fields) - 1) * width / 2
    axes.set_xticks([place + middle for place in range(len(names))], names)
    _finish(axes, title, legend=len(fields) > 1)


def _finish(axes: Axes, title: str, *, legend: bool = True) -> None:
    axes.set_title(title, fontsize="medium")
    axes.tick_params(axis="x", labelrotation=60)
    if legend:
        axes.legend(fontsize="small")
