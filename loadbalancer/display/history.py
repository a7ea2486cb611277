"""The history of a stack as a table for people, and as objects for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loadbalancer.formats import UNKNOWN, escape_control_chars
from loadbalancer.nginx.shares import percentages
from loadbalancer.state.history import Update, stable
from loadbalancer.state.message import Kind, format_weights

if TYPE_CHECKING:  # it takes long to import, and `./lb history --json` does not need it
    from rich.console import Console

_HEADINGS = ("no.", "time", "who", "what", "weights", "shares", "result", "why")
_STYLES = {Kind.REACHED: "green", Kind.ROLLED_BACK: "red"}
_UNLIMITED = 100_000
"""Columns of a table that goes to a file or a pipe."""


def show(updates: Sequence[Update], console: "Console") -> None:
    """Print the history table, the newest update last; stable updates are marked with a star.

    On a terminal long cells are folded; elsewhere every update is one line, however long.
    """
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    good = {update.number for update in stable(updates)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", justify="right" if heading == "no." else "left")
    for update in updates:
        style = (
            "red" if update.result == "failed" else _STYLES.get(update.message.kind or Kind.STEP)
        )
        table.add_row(*map(Text, _cells(update, update.number in good)), style=style)
    if not console.is_terminal:
        unlimited = console.options.update(max_width=_UNLIMITED)
        console.width = console.measure(table, options=unlimited).maximum
    console.print(table)
    console.print(
        Text("* stable: `./lb rollback` goes to the last of these with other shares than now"),
        soft_wrap=True,
    )


def _cells(update: Update, good: bool) -> tuple[str, ...]:
    return (
        f"{update.number}{'*' if good else ' '}",
        update.time.strftime("%Y-%m-%d %H:%M:%S"),
        escape_control_chars(update.who) or UNKNOWN,
        describe(update),
        format_weights(update.weights) if update.weights else UNKNOWN,
        _shares(update),
        update.result,
        " ".join(escape_control_chars(line) for line in update.message.text.splitlines()),
    )


def describe(update: Update) -> str:
    """Name what an update was: Pulumi's word, or its role in a rollout."""
    kind = update.message.kind
    if kind is Kind.ROLLED_BACK and not update.message.rollout:
        return "rollback"
    return escape_control_chars(update.what) if kind is None else f"rollout: {kind.value}"


def _shares(update: Update) -> str:
    if not update.weights or not any(update.weights.values()):
        return UNKNOWN
    shares = percentages(update.weights)
    return " ".join(f"{app} {share:g}%" for app, share in sorted(shares.items()) if share)


def as_objects(updates: Sequence[Update]) -> list[dict[str, Any]]:
    """Describe updates to programs."""
    good = {update.number for update in stable(updates)}
    return [
        {
            "number": update.number,
            "time": update.time.isoformat(),
            "who": update.who or None,
            "what": describe(update),
            "weights": dict(update.weights) if update.weights is not None else None,
            "result": update.result,
            "stable": update.number in good,
            "why": update.message.text,
        }
        for update in updates
    ]
