"""A rollout as it is shown: live on a terminal, as plain lines, or as JSON for machines."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadbalancer.config.units import format_percentage as percentage
from loadbalancer.formats import duration, escape_control_chars, rate
from loadbalancer.formats import percentage as part
from loadbalancer.metrics.window import AppWindow
from loadbalancer.nginx.shares import percentages
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.plan import Plan

_LAST = 8
_ENDINGS = frozenset({"reached", "rolled back", "held"})
_STYLES = {
    "check failed": "red",
    "back": "bold red",
    "rolled back": "bold red",
    "held": "bold yellow",
    "reached": "bold green",
    "check hold": "yellow",
}


class View(Protocol):
    """Shows events."""

    def show(self, event: Event) -> None:
        """Show that something happened."""

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave the terminal to a question."""
        yield


class Lines:
    """One line an event, with its time."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, event: Event) -> None:
        """Print a line."""
        # Text, since rich would read brackets as markup.
        self._console.print(Text(_line(event)), soft_wrap=True)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is in the way."""
        yield


class Json:
    """One object an event, each on a line of its own."""

    def show(self, event: Event) -> None:
        """Print an object."""
        print(json.dumps(as_object(event)), flush=True)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is in the way."""
        yield


class Screen:
    """The plan, the step, the apps' figures and the last events, in place on a terminal."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console = console
        self._plan = plan
        self._events: deque[Event] = deque(maxlen=_LAST)
        self._figures: Event | None = None
        self._live: Live | None = None

    def show(self, event: Event) -> None:
        """Draw it all anew."""
        self._events.append(event)
        if event.window:
            self._figures = event
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(self._drawn(event), refresh=True)
        if event.kind in _ENDINGS:
            self._stop()

    def _stop(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave what stands there, and draw below it later."""
        self._stop()
        yield

    def _drawn(self, event: Event) -> RenderableType:
        figures = self._figures
        streak = f", {event.streak} failed in a row" if event.streak else ""
        parts: list[RenderableType] = [_steps(self._plan, event), Text(f"now: {_shares(event)}")]
        if figures and figures.window:
            parts += ["", _table(figures), Text(f"last check{streak}", style="dim"), ""]
        parts += [
            Text(escape_control_chars(_line(one)), style=_STYLES.get(one.kind, ""), overflow="fold")
            for one in self._events
        ]
        return Group(*parts)


def _steps(plan: Plan, event: Event) -> Text:
    """Draw the plan, with the step that it is at."""
    line = Text("plan:")
    for number, step in enumerate(plan, 1):
        done = number < event.step or event.kind == "reached"
        now = number == event.step and event.kind not in _ENDINGS
        style = "green" if done else "bold reverse" if now else "dim"
        line.append(" ")
        line.append(f" {percentage(step.part)} ", style=style)
    return line


def _shares(event: Event) -> str:
    shares = percentages(event.weights) if any(event.weights.values()) else {}
    return ", ".join(f"{app} {share:g}%" for app, share in sorted(shares.items()))


def _table(event: Event) -> Table:
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("app", "weight", "requests", "req/s", "share", "errors", "failed tries", "p99"):
        found.add_column(heading, justify="left" if heading == "app" else "right", no_wrap=True)
    for app, window in sorted(event.window.apps.items() if event.window else ()):
        # nginx remembers apps that have gone.
        if app not in event.weights and not window.requests:
            continue
        found.add_row(
            app,
            str(event.weights.get(app, 0)),
            str(window.requests),
            rate(window.rate),
            part(window.share),
            part(window.error_rate),
            str(window.failed_tries),
            duration(window.p99),
        )
    return found


def _line(event: Event) -> str:
    at = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at} {event.kind}: {escape_control_chars(event.text)}"


def as_object(event: Event) -> dict[str, Any]:
    """Describe an event to a machine: durations in seconds, parts from 0 to 1."""
    found: dict[str, Any] = {
        "time": event.time,
        "kind": event.kind,
        "text": event.text,
        "step": event.step,
        "weights": dict(event.weights),
    }
    if event.window:
        found["failedInARow"] = event.streak
        found["apps"] = {app: _figures(one) for app, one in sorted(event.window.apps.items())}
    return found


def _figures(app: AppWindow) -> dict[str, Any]:
    return {
        "requests": app.requests,
        "errors": app.errors,
        "failedTries": app.failed_tries,
        "share": app.share,
        "p99": app.p99,
    }
