"""Live figures of a stack, as a table for a terminal or as plain lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadbalancer import hints
from loadbalancer.formats import UNKNOWN, age, duration, percentage, rate
from loadbalancer.metrics.history import LONGEST
from loadbalancer.metrics.reading import EJECTED, AppReading, Reading
from loadbalancer.metrics.window import AppWindow, Window

_HEADINGS = (
    *("app", "weight", "share", "observed"),
    *("req/s", "errors", "p50", "p95", "p99", "servers"),
)
_OBSERVED = _HEADINGS.index("observed")
_WIDEST_BAR, _NARROWEST_BAR = 20, 5


@dataclass(frozen=True)
class Figures:
    """The last reading, and what happened in the window that ends with it.

    `now` is in seconds since the epoch. `trouble` is the reason why there is no newer reading, or
    empty.
    """

    url: str
    now: float
    reading: Reading | None
    window: Window | None
    trouble: str = ""

    @property
    def rows(self) -> list[tuple[str, AppReading, AppWindow | None]]:
        """The apps of the route, and others that got requests all the same."""
        apps = self.reading.apps if self.reading else {}
        windows = self.window.apps if self.window else {}
        every = [(name, app, windows.get(name)) for name, app in sorted(apps.items())]
        return [row for row in every if row[1].weight is not None or (row[2] and row[2].requests)]


def table(figures: Figures, width: int) -> RenderableType:
    """Format the figures for a terminal of this width in columns."""
    parts: list[RenderableType] = [Text(line) for line in _heading(figures)]
    if figures.trouble:
        parts.append(Text(_old(figures), style="bold red"))
    if figures.rows:
        parts += ["", _apps(figures, width)]
    parts += [Text(line, style="yellow") for line in _notes(figures)]
    return Group(*parts)


def _apps(figures: Figures, width: int) -> Table:
    """Format a row for each app, with a bar of its observed share where there is room."""
    rows = [
        (
            name,
            UNKNOWN if app.weight is None else str(app.weight),
            percentage(app.share),
            percentage(window.share if window else None),
            *_activity(window),
            _servers(app, " of "),
        )
        for name, app, window in figures.rows
    ]
    columns = zip(_HEADINGS, *rows, strict=True)
    taken = sum(max(map(len, column)) + 1 for column in columns)
    bar = min(_WIDEST_BAR, width - taken)
    found = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in _HEADINGS:
        found.add_column(heading, justify="left" if heading == "app" else "right", no_wrap=True)
        if heading == "observed" and bar >= _NARROWEST_BAR:
            found.add_column(width=bar)
    for cells, (_, app, window) in zip(rows, figures.rows, strict=True):
        row: list[RenderableType] = [Text(cell) for cell in cells]
        if bar >= _NARROWEST_BAR:
            share = window.share if window else None
            drawn = ProgressBar(total=1, completed=share or 0, width=bar, complete_style="cyan")
            row.insert(_OBSERVED + 1, drawn)
        found.add_row(*row, style=_style(figures, app, window))
    return found


def lines(figures: Figures) -> Iterator[str]:
    """Format the figures as plain lines, one for each app, which programs can parse."""
    at = datetime.fromtimestamp(figures.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if figures.trouble:
        yield f"{at} {_old(figures)}"
    if figures.window is None:
        yield from (f"{at} {line}" for line in _heading(figures) if figures.reading)
        return
    for name, app, window in figures.rows:
        values = {
            "weight": UNKNOWN if app.weight is None else app.weight,
            "share": percentage(app.share),
            "observed": percentage(window.share if window else None),
            **dict(zip(("rate", "errors", "p50", "p95", "p99"), _activity(window), strict=True)),
            "servers": _servers(app, "/"),
            "route": figures.reading.version if figures.reading else "",
        }
        if figures.trouble:
            values["old"] = "yes"
        yield f"{at} {name} " + " ".join(
            f"{key}={str(value).replace(' ', '')}" for key, value in values.items()
        )
    for note in _notes(figures):
        yield f"{at} {note}"


def _heading(figures: Figures) -> Iterator[str]:
    reading, window = figures.reading, figures.window
    if reading is None:
        yield f"{figures.url}: no figures yet"
        return
    route = "no route yet"
    if reading.version:
        route = f"route {reading.version}, changed {age(figures.now - reading.changed)} ago"
    connections = "".join(
        f"{reading.connections[state]} {state}, "
        for state in ("active", "waiting")
        if state in reading.connections
    ).rstrip(", ")
    yield f"{figures.url}: {route}" + (f"; connections: {connections}" if connections else "")
    if window is None:
        yield "Figures start with the second reading after a change or a restart."
    else:
        rest = f"since the last change, at most {LONGEST:g} s"
        yield f"Figures of {age(window.seconds)} ({rest}): {window.requests} requests"


def _old(figures: Figures) -> str:
    if figures.reading is None:
        return f"No figures yet: {figures.trouble}"
    ago = age(figures.now - figures.reading.time)
    return f"Old figures, from {ago} ago: {figures.trouble}"


def _notes(figures: Figures) -> Iterator[str]:
    """Describe what the table does not show."""
    if figures.reading and not figures.rows:
        yield f"No app is in the route. Bring the stack up: {hints.lb('up')}"
    for _, app, _ in figures.rows:
        for server, reason in sorted(app.ejected.items()):
            yield f"Ejected: {server}: {EJECTED.get(reason, reason)}"
    if figures.window is None:
        return
    unrouted = {code: count for code, count in figures.window.unrouted.items() if count}
    if unrouted:
        codes = ", ".join(f"{count} got {code}" for code, count in sorted(unrouted.items()))
        yield f"Requests that reached no app: {codes}"
    failed = [(name, window.failed_attempts) for name, _, window in figures.rows if window]
    if any(count for _, count in failed):
        attempts = ", ".join(f"{count} at {name}" for name, count in failed if count)
        yield f"Failed attempts: {attempts}"
    if figures.window.lost:
        yield f"Requests that nginx could not count: {figures.window.lost}"


def _style(figures: Figures, app: AppReading, window: AppWindow | None) -> str | None:
    if figures.trouble or app.weight is None:
        return "dim"
    return "red" if app.servers_down or (window and window.errors) else None


def _servers(app: AppReading, of: str) -> str:
    every = app.servers_up + app.servers_down
    return UNKNOWN if app.weight is None else f"{app.servers_up}{of}{every}"


def _activity(window: AppWindow | None) -> list[str]:
    """Format an app's request rate, error rate and quantiles."""
    if window is None:
        return [UNKNOWN] * 5
    return [
        rate(window.rate),
        percentage(window.error_rate),
        *(duration(value) for value in (window.p50, window.p95, window.p99)),
    ]
