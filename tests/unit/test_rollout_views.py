"""The views of a rollout: lines, JSON and the screen."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from loadbalancer.config.model import RolloutSettings
from loadbalancer.display.rollout import Json, Lines, Screen, Terminal
from loadbalancer.metrics.window import since
from loadbalancer.rollout.environment import Event
from loadbalancer.rollout.plan import plan_from_settings
from tests.rollout import START, FakeStack


def events() -> list[Event]:
    stack = FakeStack(weights={"app1": 1, "app2": 1})
    first = stack.reading()
    stack.serve(1)
    window = since(first, stack.reading())
    base = Event("set", START, "step 1 of 2 [50%]: \x1b[2J", 1, {"app1": 1, "app2": 1})
    checked = replace(base, kind="check failed", window=window, streak=2, text="app2 failed")
    return [base, checked, replace(base, kind="reached", step=2, text="there")]


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for event in events():
        Lines().show(event)
    assert capsys.readouterr().out.splitlines() == [
        r"2027-01-15T08:00:00Z set: step 1 of 2 [50%]: \x1b[2J",
        "2027-01-15T08:00:00Z check failed: app2 failed",
        "2027-01-15T08:00:00Z reached: there",
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(machine=True)
    view = terminal.view(RolloutSettings())
    assert isinstance(view, Json)
    for event in events():
        view.show(event)
    terminal.say("for people")
    printed = capsys.readouterr()
    objects = [json.loads(line) for line in printed.out.splitlines()]
    assert printed.err == "for people\n"
    assert [one["kind"] for one in objects] == ["set", "check failed", "reached"]
    assert objects[1]["apps"]["app2"]["requests"] == 50
    assert objects[1]["failedInARow"] == 2


def test_screen() -> None:
    drawn = io.StringIO()
    plan = plan_from_settings(RolloutSettings.model_validate({"steps": "50,100"}))
    screen = Screen(Console(file=drawn, force_terminal=True, width=100), plan)
    for event in events():
        screen.show(event)
    assert "\x1b[2J" not in drawn.getvalue()
    for text in ("50%", "100%", "app2", "50.0%", "2 failed in a row", "reached: there"):
        assert text in drawn.getvalue()
    # The cursor is hidden while it is drawn, and visible again after it.
    assert drawn.getvalue().count("\x1b[?25l") == drawn.getvalue().count("\x1b[?25h") == 1
