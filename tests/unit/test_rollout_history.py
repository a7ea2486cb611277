"""The history of a stack: messages of updates, entries of Pulumi, and the table."""

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadbalancer.display.history import as_objects, show
from loadbalancer.state import history, message
from loadbalancer.state.history import History
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi

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
def test_a_message_round_trips(wrote: Message) -> None:
    assert message.parse(message.write(wrote)) == wrote


@given(st.text())
def test_other_messages_are_text_alone(text: str) -> None:
    found = message.parse(text)
    assert found.kind is None or "Kind: " in text
    assert found.kind or found.text == text


def entry(text: str, weights: object = None, **others: Any) -> dict[str, Any]:
    """One update as Pulumi lists it."""
    config: dict[str, Any] = {"loadbalancer-rollout:progress": {"value": "{}", "secret": False}}
    if not others.pop("during", False):
        config = {}
    if weights is not None:
        text_ = weights if isinstance(weights, str) else json.dumps(weights)
        config["loadbalancer:weights"] = {"value": text_, "secret": False}
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
    return message.write(Message("Why.", kind, rollout, "me@here", undoes))


HISTORY = [
    entry("First", {"app1": 1, "app2": 0}),
    entry("Broken", {"app1": 1, "app2": 1}, result="failed"),
    entry(note(Kind.STEP), {"app1": 9, "app2": 1}, during=True),
    entry(note(Kind.REACHED), {"app1": 0, "app2": 1}, during=True),
    entry("", "app1=0,app2=3", kind="refresh"),
    entry(note(Kind.STEP, "99999999"), {"app1": 1, "app2": 2}, during=True),
    entry("In the middle", {"app1": 5, "app2": 2}, during=True),
    entry(note(Kind.ROLLED_BACK, "99999999", (6, 7)), {"app1": 0, "app2": 100}, during=True),
]


def parsed(entries: list[dict[str, Any]]) -> list[history.Update]:
    return history.parse(list(reversed(entries)), "loadbalancer", ["app1", "app2"])


def test_updates_are_numbered_and_tell_who_and_what() -> None:
    found = parsed(HISTORY)
    assert [one.number for one in found] == list(range(1, 9))
    assert found[0].time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [one.who for one in found[:4]] == ["", "", "me@here", "me@here"]
    assert found[4].weights == {"app1": 0, "app2": 3}
    assert found[5].message.text == "Why."
    assert [one.number for one in parsed([entry("a", version=41)])] == [41]
    # A config without weights has the defaults; invalid weights are unknown.
    (bare, broken) = parsed([entry(""), entry("", "app1=x")])
    assert (bare.weights, broken.weights) == ({"app1": 6, "app2": 4}, None)


GIT = {
    "exec.kind": "cli",
    "git.author": "Ada Author",
    "git.committer": "Carl Committer",
    "git.head": "f15e986a362635dcb6c6f0198c0b3d54033fb5ba",
}


def test_a_plain_update_tells_who_and_why_as_git_does() -> None:
    plain, ours, bare = parsed(
        [
            entry("Keep large responses off the tmpfs", {"app1": 1}, environment=GIT),
            entry(note(Kind.STEP), {"app1": 1}, environment=GIT),
            entry("", {"app1": 1}),
        ]
    )
    assert (plain.who, plain.why) == ("Carl Committer", "Keep large responses off the tmpfs")
    assert plain.commit == GIT["git.head"]
    assert (ours.who, bare.who, bare.why) == ("me@here", "", "")
    (found, *_) = as_objects([plain])
    assert (found["who"], found["why"]) == (plain.who, plain.why)
    assert (found["commit"], found["environment"]) == (plain.commit, GIT)


def test_weights_that_are_a_text_are_the_whole_set() -> None:
    texts = [entry("", "app3=6"), entry("", '{"app3": 6}'), entry("", "")]
    assert [one.weights for one in parsed(texts)] == [
        *({"app3": 6}, {"app3": 6}),
        {"app1": 6, "app2": 4},
    ]
    # As Pulumi lists an object.
    listed = {"value": '{"app3":6}', "objectValue": {"app3": 6}, "secret": False}
    (found,) = parsed([entry("", config={"loadbalancer:weights": listed})])
    assert found.weights == {"app1": 6, "app2": 4, "app3": 6}


def test_default_weights_are_those_of_apps_that_exist() -> None:
    entries = [file_entry("", weights, 1) for weights in ({"app3": 5}, {"app1": 6, "app2": 4}, "")]
    found = history.parse(entries, "loadbalancer", ["app3", "app2"])
    assert [one.weights for one in found] == [
        *({"app2": 4}, {"app2": 4}),
        {"app2": 4, "app3": 5},
    ]
    found = history.parse(entries[:1], "loadbalancer", ["app3"])
    assert [one.weights for one in found] == [{"app3": 5}]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits_a_terminal(width: int) -> None:
    long = {f"app{number}-with-a-long-name": 1000 - number for number in range(5)}
    text = "A reason that takes far more room than there is in one line of a terminal. " * 3
    entries = [
        entry(text, long, environment={"git.committer": "A Name That Is Rather Long Indeed"}),
        entry(note(Kind.ROLLED_BACK), {"app1": 1}, result="failed"),
    ]
    out = io.StringIO()
    show(parsed(entries), Console(file=out, force_terminal=True, width=width, color_system=None))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert ("shares" in lines[0]) == (width == 160)
    for word in ("no.", "time", "who", "what", "weights", "why"):
        assert word in lines[0].split()
    assert "2026-01-02 03:04" in out.getvalue()
    assert "failed" in out.getvalue()


def test_stable_updates() -> None:
    found = parsed(HISTORY)
    assert [one.number for one in history.stable(found)] == [1, 4, 8]
    present = {"app1": 0, "app2": 7}
    last = history.last_stable(found, present)
    assert last
    assert last.number == 1
    # Nor is an update by somebody else during a rollout.
    middle = parsed([*HISTORY, entry("In another", {"app1": 5, "app2": 2}, during=True)])
    assert history.stable(middle) == history.stable(found)
    # After `./lb rollback` to 1, the updates from 2 to 8 are not stable.
    later = parsed([*HISTORY, entry(note(Kind.ROLLED_BACK, "", (2, 8)), {"app1": 1, "app2": 0})])
    assert [one.number for one in history.stable(later)] == [1, 9]
    assert history.last_stable(later, {"app1": 5, "app2": 0}) is None
    # A rollback that failed has not rolled anything back.
    failed = entry(note(Kind.ROLLED_BACK, "", (2, 8)), {"app1": 1, "app2": 0}, result="failed")
    assert [one.number for one in history.stable(parsed([*HISTORY, failed]))] == [1, 4, 8]


def test_foreign_updates() -> None:
    found = parsed(HISTORY)
    assert history.foreign(found[2:4], "0123abcd") is None
    assert history.foreign(found[2:], "0123abcd") == found[4]


def test_the_table_has_one_line_for_each_update() -> None:
    out = io.StringIO()
    show(parsed([*HISTORY, entry("\x1b[2Jevil\nsecond", {"app1": 1})]), Console(file=out))
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 + 9 + 1
    assert " 4* " in lines[4]
    assert "rollout: reached" in lines[4]
    assert "\x1b" not in out.getvalue()
    objects = as_objects(parsed(HISTORY))
    assert [one["stable"] for one in objects].count(True) == 3
    assert objects[7]["what"] == "rollout: rolled back"


def file_entry(text: str, weights: object, start: int) -> dict[str, Any]:
    """One update as a file backend keeps it."""
    return {
        "kind": "update",
        "startTime": start,
        "message": text,
        "environment": {},
        "config": {"loadbalancer:weights": weights, "loadbalancer:port": "8080"},
        "version": 0,
        "result": "succeeded",
        "endTime": start + 5,
    }


class NoPulumi(Pulumi):
    """Fails the test when a process would be started."""

    def run(self, *arguments: str, **_: object) -> str:
        raise AssertionError(arguments)


def test_apps_may_have_any_name() -> None:
    weights = {"secret": 4, "value": 1}
    (found,) = parsed([entry("", config={"loadbalancer:weights": weights})])
    assert found.weights == {"app1": 6, "app2": 4, **weights}


def test_a_file_backend_is_read_without_a_process(tmp_path: Path) -> None:
    project = Project(tmp_path, "loadbalancer", f"{tmp_path.as_uri()}?metadata=skip")
    folder = tmp_path / ".pulumi/history/loadbalancer/dev"
    updates = History(project, "organization/loadbalancer/dev", NoPulumi(tmp_path))
    folder.mkdir(parents=True)
    (tmp_path / "apps" / "app2").mkdir(parents=True)
    (folder / "dev-1.history.json").write_text(
        json.dumps(file_entry("First", {"app1": 1, "app2": 2}, 1_800_000_000))
    )
    (folder / "dev-1.checkpoint.json").write_text("{}")
    assert [one.weights for one in updates.all()] == [{"app1": 1, "app2": 2}]
    second = json.dumps(file_entry("Second", '{"app1": 3}', 1_800_000_100)).encode()
    (folder / "dev-2.history.json.gz").write_bytes(gzip.compress(second))
    (folder / "dev-3.history.json").write_text('{"being written')
    first, last = updates.all()
    assert (first.number, first.message.text, last.number, last.message.text) == (
        *(1, "First"),
        *(2, "Second"),
    )
    assert last.time == datetime.fromtimestamp(1_800_000_100, UTC)
    assert last.weights == {"app1": 3}
    (folder / "dev-3.history.json").write_text(
        json.dumps(file_entry("Third", {"secure": "v1:abc"}, 1_800_000_200))
    )
    # An encrypted value is unknown, and never shown.
    assert [one.weights for one in updates.from_files()][-1] is None
    assert updates.last_entry() == file_entry("Third", {"secure": "v1:abc"}, 1_800_000_200)
    # Another compression is left to `pulumi`.
    (folder / "dev-4.history.json.zst").write_bytes(b"")
    with pytest.raises(AssertionError, match="history"):
        updates.all()


def test_other_backends_are_asked_for_every_page(tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    class Cloud(Pulumi):
        def run(self, *arguments: str, stack: str | None = None, **_: object) -> str:
            assert stack == "team/dev"
            calls.append(arguments)
            page = int(arguments[-1])
            return json.dumps([entry("Later")] * (1000 if page == 1 else 1))

    project = Project(tmp_path, "loadbalancer", "https://api.pulumi.com")
    updates = History(project, "team/dev", Cloud(tmp_path))
    assert len(updates.all()) == 1001
    assert [call[-1] for call in calls] == ["1", "2"]
    assert updates.from_files() == []
    assert len(calls) == 2


def test_weights_are_those_of_the_project_and_not_of_another_name() -> None:
    config = {"edge:weights": '{"app1": 5}', "loadbalancer:weights": "app1=9"}
    (found,) = history.parse([entry("", config=config)], "edge", ["app1", "app2"])
    assert found.weights == {"app1": 5}


@pytest.mark.parametrize(
    "value", [{"secret": True}, {"secure": "v1:7"}, {"app1": {"secure": "v1:7"}, "app2": 1}]
)
def test_secret_weights_are_unknown_until_they_are_decrypted(value: object) -> None:
    (found,) = parsed([entry("", config={"loadbalancer:weights": value})])
    assert (found.weights, found.secret) == (None, True)
    assert history.stable([found]) == []


def test_secret_weights_are_never_shown() -> None:
    value = {"value": "app1=337,app2=663", "secret": True}
    (found,) = parsed([entry("", config={"loadbalancer:weights": value})])
    assert found.weights == {"app1": 337, "app2": 663}
    assert history.stable([found]) == [found]
    out = io.StringIO()
    show([found], Console(file=out, width=100))
    assert "[secret]" in out.getvalue()
    printed = out.getvalue() + json.dumps(as_objects([found]))
    assert "337" not in printed
    assert "33.7" not in printed
    assert as_objects([found])[0]["weights"] is None


def test_secret_weights_of_a_file_backend_are_decrypted_by_pulumi(tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    class Decrypting(Pulumi):
        def run(self, *arguments: str, **_: object) -> str:
            calls.append(arguments)
            value = {"value": "app1=3,app2=1", "secret": True}
            return json.dumps([entry("First", config={"loadbalancer:weights": value})])

    project = Project(tmp_path, "loadbalancer", f"{tmp_path.as_uri()}?metadata=skip")
    folder = tmp_path / ".pulumi/history/loadbalancer/dev"
    folder.mkdir(parents=True)
    updates = History(project, "dev", Decrypting(tmp_path))
    for number, weights in enumerate(({"app1": 1}, {"secure": "v1:abc"})):
        path = folder / f"dev-{number}.history.json"
        path.write_text(json.dumps(file_entry("First", weights, 1_800_000_000)))
        # Nothing is decrypted where nothing is secret.
        assert updates.all(decrypt=True)
        assert bool(calls) == (number == 1)
    assert "--show-secrets" in calls[0]
    assert [one.weights for one in updates.all(decrypt=True)] == [{"app1": 3, "app2": 1}]
    assert [one.weights for one in updates.all()][-1] is None
