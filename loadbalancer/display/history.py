"""Pulumi's history of a stack as a table that tells what happened, and as JSON; pure."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadbalancer.formats import UNKNOWN, escape_control_chars
from loadbalancer.nginx.shares import percentages
from loadbalancer.state.history import Update, stable
from loadbalancer.state.message import Kind
from loadbalancer.state.message import weights as written

_HEADINGS = ("no.", "time", "who", "what", "weights", "shares", "result", "why")
_STYLES = {Kind.REACHED: "green", Kind.BACK: "red"}


def show(updates: Sequence[Update], console: Console) -> None:
    """Print the table, the newest last; stable updates are marked with a star.

    On a terminal long words are folded; elsewhere every row is one plain line, however long.
    """
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
        unlimited = console.options.update(max_width=100_000)
        console.width = console.measure(table, options=unlimited).maximum
    console.print(table)
    console.print(
        Text("* stable: `rollback` goes to the last of these with other shares than now"),
        soft_wrap=True,
    )


def _cells(update: Update, good: bool) -> tuple[str, ...]:
    return (
        f"{update.number}{'*' if good else ' '}",
        update.time.strftime("%Y-%m-%d %H:%M:%S"),
        escape_control_chars(update.who) or UNKNOWN,
        _what(update),
        written(update.weights) if update.weights else UNKNOWN,
        _shares(update),
        update.result,
        " ".join(escape_control_chars(line) for line in update.message.text.splitlines()),
    )


def _what(update: Update) -> str:
    kind = update.message.kind
    if kind is Kind.BACK and not update.message.rollout:
        return "rollback"
    return escape_control_chars(update.what) if kind is None else f"rollout: {kind.value}"


def _shares(update: Update) -> str:
    if not update.weights or not any(update.weights.values()):
        return UNKNOWN
    shares = percentages(update.weights)
    return " ".join(f"{app} {share:g}%" for app, share in sorted(shares.items()) if share)


def as_objects(updates: Sequence[Update]) -> list[dict[str, Any]]:
    """Describe updates to a machine."""
    good = {update.number for update in stable(updates)}
    return [
        {
            "number": update.number,
            "time": update.time.isoformat(),
            "who": update.who or None,
            "what": _what(update),
            "weights": dict(update.weights) if update.weights is not None else None,
            "result": update.result,
            "stable": update.number in good,
            "why": update.message.text,
        }
        for update in updates
    ]
