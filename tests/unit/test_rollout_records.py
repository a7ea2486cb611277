"""What a rollout leaves and finds: messages, history, its record, its lock, the config file."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.automation.errors import CommandError
from rich.console import Console

from loadbalancer.display.history import as_objects, show
from loadbalancer.display.rollout import Json, Lines, Screen
from loadbalancer.engine.wait import Wait
from loadbalancer.metrics.window import since
from loadbalancer.nginx import shares, upstream
from loadbalancer.nginx.reweight import reweighted
from loadbalancer.rollout import record
from loadbalancer.rollout.environment import Request
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.holding import Desk, TakenError
from loadbalancer.rollout.plan import steps
from loadbalancer.state import history, message
from loadbalancer.state.config_file import SettingsFile
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.pulumi import Detached
from loadbalancer.state.update_list import PulumiHistory
from tests.rollout import START, FakeStack, begin

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"))).map(str.strip)
NAMES = st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}", fullmatch=True)
RANGES = st.tuples(st.integers(1, 99), st.integers(1, 99))
MESSAGES = st.builds(
    Message,
    text=TEXTS,
    kind=st.sampled_from(Kind),
    rollout=st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    by=NAMES,
    undoes=st.none() | RANGES,
)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_written(written: Message) -> None:
    assert message.parse(message.write(written)) == written


@given(st.text())
def test_anybody_elses_message_is_theirs(text: str) -> None:
    found = message.parse(text)
    assert found.kind is None or "Kind: " in text
    assert found.kind or found.text == text


def entry(text: str, weights: object = None, **others: Any) -> dict[str, Any]:
    """One update as Pulumi lists it."""
    config: dict[str, Any] = {"loadbalancer-rollout:progress": {"value": "{}"}}
    if not others.pop("during", False):
        config = {}
    if weights is not None:
        text_ = weights if isinstance(weights, str) else json.dumps(weights)
        config["loadbalancer:weights"] = {"value": text_}
    return {
        "version": 0,
        "kind": "update",
        "result": "succeeded",
        "startTime": "2026-01-02T03:04:05.000Z",
        "message": text,
        "environment": {},
        "config": config,
        **others,
    }


def note(kind: Kind, rollout: str = "0123abcd", undoes: tuple[int, int] | None = None) -> str:
    return message.write(Message("It was so.", kind, rollout, "me@here", undoes))


HISTORY = [
    entry("First", {"app1": 1, "app2": 0}),
    entry("Broken", {"app1": 1, "app2": 1}, result="failed"),
    entry(note(Kind.STEP), {"app1": 9, "app2": 1}, during=True),
    entry(note(Kind.REACHED), {"app1": 0, "app2": 1}, during=True),
    entry("", "app1=0,app2=3", kind="refresh"),
    entry(note(Kind.STEP, "99999999"), {"app1": 1, "app2": 2}, during=True),
    entry("In the middle", {"app1": 5, "app2": 2}, during=True),
    entry(note(Kind.BACK, "99999999", (6, 7)), {"app1": 0, "app2": 100}, during=True),
]


def parsed(entries: list[dict[str, Any]]) -> list[history.Update]:
    return history.parse(list(reversed(entries)))


def test_the_history_is_numbered_and_says_who_and_what() -> None:
    found = parsed(HISTORY)
    assert [one.number for one in found] == list(range(1, 9))
    assert found[0].time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [one.who for one in found[:4]] == ["", "", "me@here", "me@here"]
    assert found[4].weights == {"app1": 0, "app2": 3}
    assert found[5].message.text == "It was so."
    assert [one.number for one in parsed([entry("a", version=41)])] == [41]
    # A config without weights has the defaults; one that cannot be read has none.
    (bare, broken) = parsed([entry(""), entry("", "app1=x")])
    assert (bare.weights, broken.weights) == ({"app1": 6, "app2": 4}, None)


def test_what_is_stable_and_what_was_taken_back() -> None:
    found = parsed(HISTORY)
    assert [one.number for one in history.stable(found)] == [1, 4, 8]
    present = {"app1": 0, "app2": 7}
    last = history.last_stable(found, present)
    assert last
    assert last.number == 1
    # Nor is what somebody brought up in the middle, though nobody took it back.
    middle = parsed([*HISTORY, entry("In another", {"app1": 5, "app2": 2}, during=True)])
    assert history.stable(middle) == history.stable(found)
    # Taken back by hand, 4 and what followed it is no place to go to.
    later = parsed([*HISTORY, entry(note(Kind.BACK, "", (2, 8)), {"app1": 1, "app2": 0})])
    assert [one.number for one in history.stable(later)] == [1, 9]
    assert history.last_stable(later, {"app1": 5, "app2": 0}) is None
    # A way back that failed has taken nothing back.
    failed = entry(note(Kind.BACK, "", (2, 8)), {"app1": 1, "app2": 0}, result="failed")
    assert [one.number for one in history.stable(parsed([*HISTORY, failed]))] == [1, 4, 8]


def test_who_is_foreign() -> None:
    found = parsed(HISTORY)
    assert history.foreign(found[2:4], "0123abcd") is None
    assert history.foreign(found[2:], "0123abcd") == found[4]


def test_the_story_is_one_line_an_update() -> None:
    out = io.StringIO()
    show(parsed([*HISTORY, entry("\x1b[2Jevil\nsecond", {"app1": 1})]), Console(file=out))
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 + 9 + 1
    assert " 4* " in lines[4]
    assert "rollout: reached" in lines[4]
    assert "\x1b" not in out.getvalue()
    told = as_objects(parsed(HISTORY))
    assert [one["stable"] for one in told].count(True) == 3
    assert told[7]["what"] == "rollout: rolled back"


def test_a_record_is_read_as_it_was_written() -> None:
    begun = begin(FakeStack(), compare=True, confirm="2", maxP99="80ms")
    assert record.read(begun.write()) == begun
    for text in ("", "{}", "[]", '{"id":"x"}', begun.write().replace("0123abcd", "x")):
        with pytest.raises(ValueError, match="is no record of a rollout"):
            record.read(text)


HOLD = """
import sys, pathlib
from loadbalancer.rollout.holding import Desk, me
with Desk(pathlib.Path(sys.argv[1]), "dev").held():
    print(me().model_dump_json(), flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time_and_none_after_a_kill(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "dev")
    assert not desk.taken()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        holder = record.Holder.model_validate_json(process.stdout.readline())
        assert holder.pid == process.pid
        assert desk.taken()
        with pytest.raises(TakenError), desk.held():
            pass
        with Desk(tmp_path, "other").held():
            pass
        desk.ask(Request.PAUSE)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not desk.taken()
    with desk.held():
        # What was asked of the one that is gone is not asked of this one.
        assert desk.asked() is None
        desk.ask(Request.ABORT)
        assert desk.asked() is Request.ABORT
        assert desk.asked() is None


def test_the_config_file_as_it_stands(tmp_path: Path) -> None:
    for app in ("app1", "app2"):
        (tmp_path / "apps" / app).mkdir(parents=True)
        (tmp_path / "apps" / app / "app.py").touch()
    file = SettingsFile(tmp_path, "team/dev")
    path = tmp_path / "Pulumi.dev.yaml"
    assert file.record() is None
    assert file.settings().weights == {"app1": 6, "app2": 4}
    text = (
        "config:\n  loadbalancer:weights:\n    app1: 7\n  loadbalancer:port: 81\n"
        "  loadbalancer:rollout:\n    to: {app2: 1}\n  aws:region:\n    secure: v1:abc\n"
    )
    path.write_text(text)
    assert file.settings().weights == {"app1": 7, "app2": 4}
    assert file.settings().rollout.to == {"app2": 1}
    before = file.digests()
    assert sorted(before) == ["aws:region", "port"]
    begun = begin(FakeStack())
    path.write_text(f"{text}  {record.KEY}: {begun.write()!r}\n")
    assert file.record() == begun
    path.write_text(text.replace("app1: 7", "app1: 8").replace("app2: 1", "app2: 2"))
    assert file.digests() == before
    path.write_text(text.replace("81", "82"))
    assert [key for key in before if file.digests()[key] != before[key]] == ["port"]


def test_the_history_is_asked_for_again_when_there_is_more(tmp_path: Path) -> None:
    folder = tmp_path / ".pulumi/history/loadbalancer/dev"
    folder.mkdir(parents=True)
    entries = [entry("First")]
    calls: list[tuple[str, ...]] = []

    def pulumi(*arguments: str) -> str:
        calls.append(arguments)
        return json.dumps(entries)

    history = PulumiHistory(pulumi, f"{tmp_path.as_uri()}?metadata=skip", "loadbalancer", "dev")
    for _ in range(3):
        assert len(history.all()) == 1
    assert len(calls) == 1
    entries.insert(0, entry("Second"))
    (folder / "dev-2.history.json").touch()
    assert [one.message.text for one in history.all()] == ["First", "Second"]
    # Elsewhere nothing tells when there is more.
    elsewhere = PulumiHistory(pulumi, "https://api.pulumi.com", "loadbalancer", "dev")
    before = len(calls)
    elsewhere.all()
    elsewhere.all()
    assert len(calls) == before + 2


def route(weights: dict[str, int], replicas: dict[str, int]) -> str:
    """A route as the program renders it."""
    each = shares.server_weights(weights, replicas)
    return upstream.render(
        [
            upstream.Server(app, f"lb-{app}-{n}", 10_000 + index, each[app])
            for index, app in enumerate(weights)
            for n in range(replicas[app])
        ],
        weights,
    )


def test_another_route_for_the_servers_that_there_are() -> None:
    replicas = {"app1": 2, "app2": 1}
    now = route({"app1": 9, "app2": 1}, replicas)
    wanted = {"app1": 1, "app2": 0}
    assert reweighted(now, wanted) == route(wanted, replicas)
    assert reweighted(now, {"app1": 1, "app3": 1}) is None
    assert reweighted(now, {"app1": 0, "app2": 0}) is None
    assert reweighted("", wanted) is None
    # An app that came with the rollout has no place in what was before.
    three = route({"app1": 9, "app2": 1, "app3": 5}, {**replicas, "app3": 1})
    assert reweighted(three, wanted) == route(wanted, replicas)


def test_pulumi_runs_to_its_end_whatever_becomes_of_us(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text('#!/bin/sh\necho "$1:$PULUMI_AUTOMATION_API:$X"\necho bad >&2\nexit "$2"\n')
    program.chmod(0o755)
    detached = Detached.__new__(Detached)
    detached.command = str(program)
    lines: list[str] = []
    done = detached.run(["say", "0"], str(tmp_path), {"X": "y"}, lines.append, lines.append)
    assert (done.stdout, done.stderr, done.code) == ("say:true:y", "bad", 0)
    assert lines == ["say:true:y", "bad"]
    with pytest.raises(CommandError, match="bad"):
        detached.run(["say", "3"], str(tmp_path), {})
    # Ended as by a terminal that goes, it goes on.
    begun, go, ended = tmp_path / "begun", tmp_path / "go", tmp_path / "ended"
    # Until it is told, but not for ever, should this test fail before that.
    waits = f"for _ in $(seq 2400); do [ ! -e {go} ] || break; sleep 0.05; done"
    program.write_text(f"#!/bin/sh\ntouch {begun}\n{waits}\necho said\ntouch {ended}\n")
    code = (
        "import sys; from loadbalancer.state.pulumi import Detached\n"
        "one = Detached.__new__(Detached); one.command = sys.argv[1]\n"
        "one.run([], sys.argv[2], {})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(program), str(tmp_path)], start_new_session=True
    )
    patience = Wait(60, 0.02)
    patience.until("a begin", lambda: None if begun.exists() else "none")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not ended.exists()
    go.touch()
    patience.until("an end", lambda: None if ended.exists() else "none")


def events() -> list[Event]:
    stack = FakeStack(weights={"app1": 1, "app2": 1})
    first = stack.reading()
    stack.serve(1)
    window = since(first, stack.reading())
    base = Event("set", START, "step 1 of 2 [50%]: \x1b[2J", 1, {"app1": 1, "app2": 1})
    checked = replace(base, kind="check failed", window=window, streak=2, text="app2 failed")
    return [base, checked, replace(base, kind="reached", step=2, text="there")]


def test_views(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out))
    for event in events():
        lines.show(event)
        Json().show(event)
    assert out.getvalue().splitlines() == [
        r"2027-01-15T08:00:00Z set: step 1 of 2 [50%]: \x1b[2J",
        "2027-01-15T08:00:00Z check failed: app2 failed",
        "2027-01-15T08:00:00Z reached: there",
    ]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["kind"] for one in told] == ["set", "check failed", "reached"]
    assert told[1]["apps"]["app2"]["requests"] == 50
    assert told[1]["failedInARow"] == 2

    drawn = io.StringIO()
    screen = Screen(Console(file=drawn, force_terminal=True, width=100), steps("50,100", 1))
    for event in events():
        screen.show(event)
    assert "\x1b[2J" not in drawn.getvalue()
    for text in ("50%", "100%", "app2", "50.0%", "2 failed in a row", "reached: there"):
        assert text in drawn.getvalue()
    # The cursor is hidden while it is drawn, and there again after it.
    assert drawn.getvalue().count("\x1b[?25l") == drawn.getvalue().count("\x1b[?25h") == 1
