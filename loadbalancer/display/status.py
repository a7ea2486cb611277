"""The status of a stack, as a table or as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadbalancer.drift.compare import Row
from loadbalancer.drift.status import Status
from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics.reading import EJECTED

_UNLIMITED = 10_000


def show(status: Status, console: Console | None = None, *, all: bool = False) -> None:
    """Print the resources that differ, then a line with the result and the fix command.

    On a terminal long words are folded; elsewhere every row is one plain line, however long.

    Args:
        status: what `loadbalancer.drift.status.look` found.
        console: where to print.
        all: print after them those that do not differ, and the actual state of each.
    """
    console = console or Console(soft_wrap=False, highlight=False)
    rows = status.drift
    if all:
        rows += tuple(row for row in status.rows if not row.difference)
    if rows:
        table = _table(rows, actual=all)
        if not console.is_terminal:
            unlimited = console.options.update(max_width=_UNLIMITED)
            console.width = console.measure(table, options=unlimited).maximum
        console.print(table)
        console.print()
    for server, reason in sorted(status.ejected.items()):
        text = f"{status.stack}: server {server} is ejected: {EJECTED.get(reason, reason)}"
        console.print(text, markup=False, soft_wrap=True)
    if status.updating:
        text = f"{status.stack}: locked by an update that may be running: {status.updating}"
        console.print(text, markup=False, soft_wrap=True)
    console.print(_summary(status), markup=False, soft_wrap=True)


def as_object(status: Status) -> dict[str, Any]:
    """Describe a status for `--json`; `difference` is null where a resource is as desired."""
    return {
        "stack": status.stack,
        "url": status.url or None,
        "drift": bool(status.drift),
        "updating": status.updating or None,
        "ejected": dict(status.ejected),
        "resources": [
            {
                "name": row.name,
                "desired": row.desired,
                "actual": row.actual,
                "difference": row.difference or None,
            }
            for row in status.rows
        ],
    }


def _table(rows: Sequence[Row], *, actual: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("resource", "actual", "difference") if actual else ("resource", "difference"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = (row.name, row.actual, row.difference) if actual else (row.name, row.difference)
        # Text, since rich would read brackets as markup, and a route may have some.
        texts = (Text(escape_control_chars(cell)) for cell in cells)
        table.add_row(*texts, style="red" if row.difference else None)
    return table


def _summary(status: Status) -> str:
    differ, every = len(status.drift), len(status.rows)
    if not every:
        return f"{status.stack}: nothing is deployed. Deploy it: ./lb up --stack {status.stack}"
    if not differ:
        where = f", serving at {status.url}" if status.url else ""
        return f"{status.stack}: no drift in {every} resources{where}"
    fix = f"Repair it: ./lb repair --stack {status.stack}"
    if status.updating:
        fix = f"Look again when the update has ended: ./lb status --stack {status.stack}"
    return f"{status.stack}: drift in {differ} of {every} resources. {fix}"
