"""The history of a stack as a table for people, and as objects for programs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loadbalancer.formats import UNKNOWN, escape_control_chars
from loadbalancer.nginx.shares import percentages
from loadbalancer.state.history import Update, stable
from loadbalancer.state.message import SECRET, Kind, format_weights

if TYPE_CHECKING:  # it takes long to import, and `./lb history --json` does not need it
    from rich.console import Console

_STYLES = {Kind.REACHED: "green", Kind.ROLLED_BACK: "red"}
_UNLIMITED = 100_000
"""Columns of a table that goes to a file or a pipe."""
_NARROW = 120
"""Columns of a terminal below which the shares, which follow from the weights, are left out."""
_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "no.": {"no_wrap": True},
    "time": {"no_wrap": True},
    "who": {"max_width": 18},
    "what": {"max_width": 14},
    "weights": {"max_width": 24},
    "shares": {"max_width": 24},
    "why": {"min_width": 20},
}
"""What limits the columns on a terminal, where long cells are folded."""


def show(updates: Sequence[Update], console: "Console") -> None:
    """Print the history table, the newest update last; stable updates are marked with a star.

    On a terminal long cells are folded; elsewhere every update is one line, however long.
    """
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    folded = console.is_terminal
    left_out = {"shares"} if folded and console.width < _NARROW else set()
    columns = {heading: limits for heading, limits in _COLUMNS.items() if heading not in left_out}
    good = {update.number for update in stable(updates)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, limits in columns.items():
        table.add_column(
            heading,
            justify="right" if heading == "no." else "left",
            overflow="fold",
            **(limits if folded else {}),
        )
    for update in updates:
        failed = update.result == "failed"
        style = "red" if failed else _STYLES.get(update.message.kind or Kind.STEP)
        cells = _cells(update, update.number in good)
        table.add_row(*(Text(cells[heading]) for heading in columns), style=style)
    if not folded:
        unlimited = console.options.update(max_width=_UNLIMITED)
        console.width = console.measure(table, options=unlimited).maximum
    console.print(table)
    console.print(
        Text("* stable: `./lb rollback` goes to the last of these with other shares than now"),
        soft_wrap=True,
    )


def _cells(update: Update, good: bool) -> dict[str, str]:
    what = describe(update)
    shown = None if update.secret else update.weights
    return {
        "no.": f"{update.number}{'*' if good else ' '}",
        "time": update.time.strftime("%Y-%m-%d %H:%M"),
        "who": escape_control_chars(update.who) or UNKNOWN,
        "what": what if update.result == "succeeded" else f"{what} {update.result}",
        "weights": SECRET if update.secret else format_weights(shown) if shown else UNKNOWN,
        "shares": _shares(shown),
        "why": " ".join(escape_control_chars(line) for line in update.why.splitlines()),
    }


def describe(update: Update) -> str:
    """Name what an update was: Pulumi's word, or its role in a rollout."""
    kind = update.message.kind
    if kind is Kind.ROLLED_BACK and not update.message.rollout:
        return "rollback"
    return escape_control_chars(update.what) if kind is None else f"rollout: {kind.value}"


def _shares(weights: Mapping[str, int] | None) -> str:
    if not weights or not any(weights.values()):
        return UNKNOWN
    shares = percentages(weights)
    return " ".join(f"{app} {share:g}%" for app, share in sorted(shares.items()) if share)


def as_objects(updates: Sequence[Update]) -> list[dict[str, Any]]:
    """Describe updates to programs, with all that is known of them; secret weights are None."""
    good = {update.number for update in stable(updates)}
    return [
        {
            "number": update.number,
            "time": update.time.isoformat(),
            "who": update.who or None,
            "what": describe(update),
            "weights": None if update.secret or update.weights is None else dict(update.weights),
            "secret": update.secret,
            "result": update.result,
            "stable": update.number in good,
            "why": update.why,
            "rollout": update.message.rollout or None,
            "undoes": list(update.message.undoes) if update.message.undoes else None,
            "commit": update.commit or None,
            "environment": dict(update.environment),
        }
        for update in updates
    ]
