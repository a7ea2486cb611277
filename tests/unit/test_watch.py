"""Live figures: the readings behind them, their form, and what they show without an answer."""

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadbalancer import formats, metrics
from loadbalancer.display import watch
from loadbalancer.display.figures import Figures, lines, table
from loadbalancer.display.watch import WatchError
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.history import LONGEST, History
from loadbalancer.metrics.reading import AppReading, Reading
from loadbalancer.metrics.window import since
from loadbalancer.state import deployment
from loadbalancer.state.project import Project
from tests.exposition import AdminPort, admin_port, app

URL = "http://127.0.0.1:9113"
INTERVAL = 60.0
"""Seconds, which no test waits; enough that no stall of the machine takes half of them."""
READ = partial(metrics.read, timeout=60)
APPS = {
    "app1": app({200: 60}, weight=3, share=0.6),
    "app2": app({200: 40}, weight=2, share=0.4, servers_up=1, servers_down=1),
}
START = Reading(100.0, "0123456789ab", 40.0, APPS, connections={"active": 3, "waiting": 2})
LATER = replace(
    START,
    time=110.0,
    apps={
        "app1": replace(APPS["app1"], requests={200: 1158, 503: 2}),
        "app2": replace(APPS["app2"], requests={200: 940}),
        "gone": AppReading(requests={200: 4}),
        "idle": AppReading(requests={}),
    },
    unrouted={503: 7},
)
FIGURES = Figures(URL, 111.0, LATER, since(START, LATER))


def terminal(figures: Figures, width: int) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    console.print(table(figures, width))
    return file.getvalue()


def cells(text: str) -> dict[str, str]:
    """The rows of the table by app, without the bar."""
    rows = [re.sub("[━╸╺ ]+", " ", line).partition(" ") for line in text.splitlines()]
    names = {"app", "app1", "app2", "gone", "idle", "another"}
    return {name: row.strip() for name, _, row in rows if name in names}


def test_figures_on_a_terminal() -> None:
    text = terminal(FIGURES, 120)
    heading, rest = text.splitlines()[:2]
    assert heading == (
        f"{URL}: route 0123456789ab, changed 1 min ago; connections: 3 active, 2 waiting"
    )
    assert rest == "Figures of 10 s (since the last change, at most 60 s): 2004 requests"
    assert cells(text) == {
        "app": "weight share observed req/s errors p50 p95 p99 servers",
        "app1": "3 60.0% 54.9% 110.0 0.2% - - - 1 of 1",
        "app2": "2 40.0% 44.9% 90.0 0.0% - - - 1 of 2",
        "gone": "- - 0.2% 0.4 0.0% - - - -",
    }
    bars = [line.count("━") for line in text.splitlines() if line.startswith(("app1", "app2"))]
    assert bars == [10, 8]
    assert text.splitlines()[-1] == "Requests that reached no app: 7 got 503"


def test_ejected_servers_are_named() -> None:
    apps = {**APPS, "app1": replace(APPS["app1"], ejected={"lb-app1:5001": "connect_failed"})}
    text = terminal(Figures(URL, 111.0, replace(START, apps=apps), None), 120)
    assert text.splitlines()[-1] == "Ejected: lb-app1:5001: no connection"


@pytest.mark.parametrize("width", [80, 82, 85, 90, 100, 200])
@pytest.mark.parametrize("requests", [160, 160_000])
def test_nothing_is_cut_off_on_a_terminal_of_usual_width(width: int, requests: int) -> None:
    busy = {"app1": app({200: requests}, weight=600, share=1.0, servers_up=10, servers_down=10)}
    later = replace(START, time=110.0, apps={**busy, "another": app({200: 9})})
    text = terminal(Figures(URL, 111.0, later, since(START, later)), width)
    shown = "91.7% 10.0" if requests == 160 else "100.0% 15994.0"
    assert cells(text)["app1"] == f"600 100.0% {shown} 0.0% 1.8 ms 2.4 ms 2.5 ms 10 of 20"
    assert cells(text)["app"] == "weight share observed req/s errors p50 p95 p99 servers"
    assert max(map(len, text.splitlines())) <= width
    if width > 80:
        assert "━" in text


def test_quantiles_and_notes() -> None:
    attempts = {"answered": 90, "connect_failed": 1, "timeout": 2, "error": 0, "aborted": 5}
    busy = replace(START, time=110.0, apps={"app1": app({200: 160}, attempts=attempts)}, lost=3)
    figures = Figures(URL, 111.0, busy, since(START, busy))
    assert "100.0% 10.0 0.0% 1.8 ms 2.4 ms 2.5 ms 1 of 1" in cells(terminal(figures, 120))["app1"]
    assert "p50=1.8ms p95=2.4ms p99=2.5ms servers=1/1" in next(lines(figures))
    assert [line.split(" ", 1)[1] for line in lines(figures)][-2:] == [
        "Failed attempts: 3 at app1",
        "Requests that nginx could not count: 3",
    ]


def test_plain_lines() -> None:
    assert list(lines(FIGURES)) == [
        "1970-01-01T00:01:51Z app1 weight=3 share=60.0% observed=54.9% rate=110.0 errors=0.2% "
        "p50=- p95=- p99=- servers=1/1 route=0123456789ab",
        "1970-01-01T00:01:51Z app2 weight=2 share=40.0% observed=44.9% rate=90.0 errors=0.0% "
        "p50=- p95=- p99=- servers=1/2 route=0123456789ab",
        "1970-01-01T00:01:51Z gone weight=- share=- observed=0.2% rate=0.4 errors=0.0% "
        "p50=- p95=- p99=- servers=- route=0123456789ab",
        "1970-01-01T00:01:51Z Requests that reached no app: 7 got 503",
    ]


def test_old_figures_are_marked() -> None:
    old = replace(FIGURES, now=170.0, trouble="it does not answer")
    assert "Old figures, from 60 s ago: it does not answer" in terminal(old, 80)
    assert cells(terminal(old, 80)) == cells(terminal(FIGURES, 80))
    said, *rest = lines(old)
    assert said == "1970-01-01T00:02:50Z Old figures, from 60 s ago: it does not answer"
    assert all(line.endswith("route=0123456789ab old=yes") for line in rest[:3])
    assert "old=yes" not in "".join(lines(FIGURES))


def test_before_there_are_figures() -> None:
    none = Figures(URL, 111.0, None, None, "it does not answer")
    assert terminal(none, 80).splitlines() == [
        f"{URL}: no figures yet",
        "No figures yet: it does not answer",
    ]
    assert list(lines(none)) == ["1970-01-01T00:01:51Z No figures yet: it does not answer"]
    first = Figures(URL, 111.0, START, None)
    assert cells(terminal(first, 80))["app1"] == "3 60.0% - - - - - - 1 of 1"
    for text in (terminal(first, 80), "\n".join(lines(first))):
        assert "Figures start with the second reading" in text
    no_route = Figures(URL, 111.0, Reading(110.0, "", 0.0), None)
    assert "no route yet" in terminal(no_route, 80)
    assert terminal(no_route, 80).splitlines()[-1].endswith("Bring the stack up: ./lb up")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0004, "0.4 ms"),
        (0.0999, "99.9 ms"),
        (0.25, "250 ms"),
        (1, "1.00 s"),
        (60, "60.00 s"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (60, "60 s"), (119, "1 min"), (7300, "2 h"), (90_000, "1 d")],
)
def test_ages(seconds: float, text: str) -> None:
    assert formats.age(seconds) == text


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=30))
def test_figures_cover_at_most_the_longest_time(steps: list[float]) -> None:
    history, times = History(), [0.0]
    history.add(replace(START, time=0.0))
    assert history.window() is None
    for step in steps:
        times.append(times[-1] + step)
        history.add(replace(START, time=times[-1]))
    window = history.window()
    assert window is not None
    # From the oldest reading that is not too old.
    assert window.seconds == times[-1] - min(one for one in times if one >= times[-1] - LONGEST)


def test_readings_far_apart_still_give_figures() -> None:
    history = History()
    for time in (0.0, 100.0, 300.0):
        history.add(replace(START, time=time))
    window = history.window()
    assert window is not None
    assert window.seconds == 200


@pytest.mark.parametrize(
    "change",
    [{"version": "ba9876543210"}, {"changed": 105.0}, {"apps": {"app1": app({200: 1})}}],
)
def test_a_change_or_a_restart_starts_new_figures(change: Mapping[str, Any]) -> None:
    history = History()
    history.add(START)
    history.add(LATER)
    changed = replace(LATER, time=111.0, **change)
    history.add(changed)
    assert history.window() is None
    assert history.last == changed
    history.add(replace(changed, time=113.0))
    window = history.window()
    assert window is not None
    assert (window.seconds, window.reset, window.requests) == (2.0, False, 0)


def nothing() -> None:
    """An interval in which nothing happens."""


class Script:
    """What happens in each interval, in place of waiting for it; Ctrl-C when there is no more."""

    def __init__(self, *events: Callable[[], None]) -> None:
        self._events = list(events)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self._events:
            raise KeyboardInterrupt
        self._events.pop(0)()


@pytest.fixture
def port() -> Iterator[AdminPort]:
    with admin_port() as port:
        port.show(START)
        yield port


def watched(port: AdminPort, script: Script, **options: Any) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, highlight=False, width=20)
    with pytest.raises(KeyboardInterrupt):
        watch.watch(port.url, console, interval=INTERVAL, read=READ, sleep=script.sleep, **options)
    return [line.partition(" ")[2] for line in file.getvalue().splitlines()]


def test_without_a_terminal_each_interval_is_a_line_for_each_app(port: AdminPort) -> None:
    script = Script(lambda: port.show(LATER))
    first, begin, *rest = watched(port, script)
    assert first.startswith(f"{port.url}: route 0123456789ab")
    assert begin.startswith("Figures start")
    assert [line.split()[0] for line in rest] == ["app1", "app2", "gone", "Requests"]
    assert "observed=54.9%" in rest[0]
    assert INTERVAL / 2 < script.slept[0] <= INTERVAL


def test_an_endpoint_that_is_gone_leaves_the_last_figures_and_comes_back(port: AdminPort) -> None:
    def fail() -> None:
        port.code = 502

    script = Script(lambda: port.show(LATER), fail, fail, lambda: port.show(LATER))
    lines = watched(port, script)[2:]
    said = [bool(re.match(r"Old figures, from \d+ s ago: ", line)) for line in lines]
    assert said == [False] * 4 + [True] + [False] * 4 + [True] + [False] * 8
    app1 = [line for line in lines if line.startswith("app1")]
    assert [line.endswith("old=yes") for line in app1] == [False, True, True, False]
    assert "answers 502 instead of 200" in lines[4]


def test_an_endpoint_that_was_never_there(port: AdminPort) -> None:
    port.code = 502
    console = Console(file=io.StringIO())
    with pytest.raises(MetricsError, match="answers 502"):
        script = Script(nothing, nothing)
        watch.watch(port.url, console, count=2, read=READ, sleep=script.sleep)
    later = Script(lambda: port.show(START))
    assert "No figures yet" in watched(port, later)[0]


def test_it_ends_after_the_given_number_of_intervals(port: AdminPort) -> None:
    file = io.StringIO()
    script = Script(lambda: port.show(LATER), nothing)
    watch.watch(port.url, Console(file=file), count=2, read=READ, sleep=script.sleep)
    assert file.getvalue().count(" app1 ") == 2
    assert len(script.slept) == 2


def test_a_terminal_keeps_the_last_figures_at_the_end(port: AdminPort) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    script = Script(lambda: port.show(LATER))
    with pytest.raises(KeyboardInterrupt):
        watch.watch(port.url, console, read=READ, sleep=script.sleep)
    text = file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "54.9%" in text.rpartition("weight")[2]


def test_the_address_is_an_output_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(Path(), "loadbalancer", "file://.")

    def find(**outputs: object) -> str:
        monkeypatch.setattr(deployment, "outputs", lambda *_: outputs)
        return watch.admin_url(project, "dev")

    assert find(adminUrl=URL, url="http://127.0.0.1:8080") == URL
    with pytest.raises(WatchError, match=r"^stack dev is not up. .*: \./lb up --stack dev$"):
        find()
    with pytest.raises(WatchError, match=r"no output adminUrl: .*: \./lb up --stack dev$"):
        find(url="http://127.0.0.1:8080")
