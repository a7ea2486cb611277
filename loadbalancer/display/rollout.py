"""Views of a rollout: live on a terminal, as plain lines, or as JSON for programs."""

import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loadbalancer.formats import UNKNOWN, duration, escape_control_chars, percentage, rate

if TYPE_CHECKING:  # they take long to import, and `./lb rollout status` needs none of them
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from loadbalancer.config.model import RolloutSettings
    from loadbalancer.metrics.window import AppWindow
    from loadbalancer.rollout.environment import Event, View
    from loadbalancer.rollout.plan import Plan

_LAST = 8
"""Events that stay on the screen."""
_ENDINGS = frozenset({"reached", "rolled back", "halted"})
_STYLES = {
    "check failed": "red",
    "rolling back": "bold red",
    "rolled back": "bold red",
    "halted": "bold yellow",
    "reached": "bold green",
    "check inconclusive": "yellow",
}
_HEADINGS = ("app", "weight", "requests", "req/s", "share", "errors", "failed attempts", "p99")


class Terminal:
    """Where commands of a rollout print; `machine` asks for JSON."""

    def __init__(self, *, machine: bool = False) -> None:
        self.machine = machine

    def view(self, settings: "RolloutSettings") -> "View":
        """Choose a view: JSON, live on a terminal that can redraw, else lines."""
        if self.machine:
            return Json()
        if sys.stdout.isatty() and os.environ.get("TERM") not in {None, "", "dumb", "unknown"}:
            from rich.console import Console  # noqa: PLC0415

            from loadbalancer.rollout.plan import plan_from_settings  # noqa: PLC0415

            return Screen(Console(highlight=False), plan_from_settings(settings))
        return Lines()

    def say(self, text: str) -> None:
        """Print a text; with JSON on stdout it goes to stderr."""
        lines = "\n".join(escape_control_chars(line) for line in text.splitlines())
        print(lines, file=sys.stderr if self.machine else sys.stdout, flush=True)


class Lines:
    """One line for each event, with its time."""

    def show(self, event: "Event") -> None:
        """Print a line."""
        print(_line(event), flush=True)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave the terminal to a question."""
        yield


class Json:
    """One JSON object for each event, on a line of its own."""

    def show(self, event: "Event") -> None:
        """Print an object."""
        print(json.dumps(as_object(event)), flush=True)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave the terminal to a question."""
        yield


class Screen:
    """The plan, the step, the figures of the apps and the last events, redrawn in place."""

    def __init__(self, console: "Console", plan: "Plan") -> None:
        self._console = console
        self._plan = plan
        self._events: deque[Event] = deque(maxlen=_LAST)
        self._figures: Event | None = None
        self._live: Live | None = None

    def show(self, event: "Event") -> None:
        """Redraw the screen."""
        from rich.live import Live  # noqa: PLC0415

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
        """Leave the terminal to a question; the next event is drawn below it."""
        self._stop()
        yield

    def _drawn(self, event: "Event") -> "RenderableType":
        from rich.console import Group  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        figures = self._figures
        streak = f", {event.streak} failed in a row" if event.streak else ""
        parts: list[RenderableType] = [_steps(self._plan, event), Text(f"now: {_shares(event)}")]
        if figures and figures.window:
            parts += ["", _table(figures), Text(f"last check{streak}", style="dim"), ""]
        parts += [
            Text(_line(one), style=_STYLES.get(one.kind, ""), overflow="fold")
            for one in self._events
        ]
        return Group(*parts)


def _steps(plan: "Plan", event: "Event") -> "Text":
    """Draw the plan, and the present step in it."""
    from rich.text import Text  # noqa: PLC0415

    from loadbalancer.config.units import format_percentage  # noqa: PLC0415

    line = Text("plan:")
    for number, step in enumerate(plan, 1):
        done = number < event.step or event.kind == "reached"
        now = number == event.step and event.kind not in _ENDINGS
        style = "green" if done else "bold reverse" if now else "dim"
        line.append(" ")
        line.append(f" {format_percentage(step.fraction)} ", style=style)
    return line


def _shares(event: "Event") -> str:
    from loadbalancer.nginx.shares import percentages  # noqa: PLC0415

    shares = percentages(event.weights) if any(event.weights.values()) else {}
    return ", ".join(f"{app} {share:g}%" for app, share in sorted(shares.items())) or UNKNOWN


def _table(event: "Event") -> "Table":
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "app" else "right", no_wrap=True)
    for app, window in sorted(event.window.apps.items() if event.window else ()):
        # nginx still counts apps that are not deployed any more.
        if app not in event.weights and not window.requests:
            continue
        table.add_row(
            app,
            str(event.weights.get(app, 0)),
            str(window.requests),
            rate(window.rate),
            percentage(window.share),
            percentage(window.error_rate),
            str(window.failed_attempts),
            duration(window.app_p99),
        )
    return table


def _line(event: "Event") -> str:
    at = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at} {event.kind}: {escape_control_chars(event.text)}"


def as_object(event: "Event") -> dict[str, Any]:
    """Describe an event to programs: durations in seconds, fractions from 0 to 1."""
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


def _figures(app: "AppWindow") -> dict[str, Any]:
    return {
        "requests": app.requests,
        "errors": app.errors,
        "failedAttempts": app.failed_attempts,
        "share": app.share,
        "p99": app.app_p99,
    }
