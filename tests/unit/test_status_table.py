"""The status as a table and as JSON."""

import io
import json
import re
import socket
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from loadbalancer import engine
from loadbalancer.display.status import as_object, show
from loadbalancer.drift import actual, status
from loadbalancer.drift.actual import Actual
from loadbalancer.drift.compare import Row, compare
from loadbalancer.drift.orphans import Orphan
from loadbalancer.drift.status import Status
from loadbalancer.state import deployment
from loadbalancer.state.deployment import (
    Desired,
)
from loadbalancer.state.project import Project
from tests.desired import DESIRED


def shown(
    status: Status, *, terminal: bool = False, width: int = 80, all: bool = False
) -> list[str]:
    file = io.StringIO()
    width_ = width if terminal else None
    console = Console(file=file, force_terminal=terminal, width=width_, color_system=None)
    show(status, console, all=all)
    return [line.rstrip() for line in file.getvalue().splitlines()]


LONG = Row(f"container {'x' * 150}", "running", "- [b]", "not found")
SAME = Row("port 8080", "127.0.0.1:8080", "127.0.0.1:8080")
DRIFT = "dev: drift in 1 of 2 resources. Repair it: ./lb repair --stack dev"


def test_without_a_terminal_every_row_is_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    status = Status("dev", "http://here", (SAME, LONG))
    lines = shown(status)
    assert [re.split(" {2,}", line) for line in lines[:-1]] == [
        ["resource", "difference"],
        [LONG.name, LONG.difference],
        [""],
    ]
    assert lines[-1] == DRIFT


def test_all_resources_with_those_that_differ_first() -> None:
    lines = shown(Status("dev", "http://here", (SAME, LONG)), all=True)
    assert [re.split(" {2,}", line) for line in lines[:-1]] == [
        ["resource", "actual", "difference"],
        [LONG.name, LONG.actual, LONG.difference],
        [SAME.name, SAME.actual],
        [""],
    ]
    assert lines[-1] == DRIFT


@pytest.mark.parametrize("all", [False, True])
def test_a_narrow_terminal_folds_and_loses_nothing(all: bool) -> None:
    lines = shown(Status("dev", "", (LONG, SAME)), terminal=True, width=40, all=all)
    assert max(map(len, lines[:-1])) <= 40
    assert "".join(lines).count("x") == 150
    assert lines[-1].endswith("./lb repair --stack dev")


def test_every_kind_of_difference_fits_80_columns() -> None:
    every = compare(DESIRED, Actual(orphans=(Orphan("container", "by-hand", "1"),)))
    assert len([row for row in every if row.difference]) >= 10
    for all in (False, True):
        lines = shown(Status("dev", "", tuple(every)), terminal=True, all=all)
        assert max(map(len, lines)) <= 80


def test_control_characters_of_a_hand_edited_route_cannot_drive_the_terminal() -> None:
    row = Row("route", "in force", "another", "hand-edited; additional line: \x1b[2J")
    assert shown(Status("dev", "", (row,)), terminal=True)[1].endswith(r"additional line: \x1b[2J")


def test_a_running_update_is_told_and_not_repaired() -> None:
    status = Status("dev", "", (LONG,), updating="process 7 on here since 2026-01-01T00:00:00Z")
    *_, lock, last = shown(status)
    assert lock.startswith("dev: locked by an update that may be running: process 7 on here")
    assert last.endswith("Look again when the update has ended: ./lb status --stack dev")
    assert as_object(status)["updating"] == status.updating


def test_a_stale_lock_is_drift_with_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, "loadbalancer", tmp_path.as_uri())
    locks = tmp_path / ".pulumi/locks/organization/loadbalancer/dev"
    locks.mkdir(parents=True)
    with subprocess.Popen(["true"]) as ended:
        pass
    held = {
        "pid": ended.pid,
        "username": "user",
        "hostname": socket.gethostname(),
        "timestamp": "2026-11-27T17:00:00Z",
    }
    (locks / "a.json").write_text(json.dumps(held))
    monkeypatch.setattr(deployment, "read", lambda *_: Desired())
    monkeypatch.setattr(actual, "read", lambda *_: Actual())
    monkeypatch.setattr(actual, "is_elsewhere", lambda *_: False)
    monkeypatch.setattr(engine, "connect", lambda: None)
    found = status.look(project, "dev")
    who = f"process {ended.pid} of user on {socket.gethostname()} since 2026-11-27T17:00:00Z"
    assert [(row.name, row.actual) for row in found.drift] == [("lock", who)]
    assert shown(found)[1].split(maxsplit=1) == ["lock", f"stale lock of {who}"]
    assert max(map(len, shown(found, terminal=True))) <= 80


def test_the_last_line_of_a_stack_without_drift() -> None:
    assert shown(Status("dev", "http://here", (SAME,))) == [
        "dev: no drift in 1 resources, serving at http://here"
    ]
    (line,) = shown(Status("dev", "", ()))
    assert line == "dev: nothing is deployed. Deploy it: ./lb up --stack dev"
    assert compare(Desired(), Actual()) == []


def test_ejected_servers_are_named_and_are_no_drift() -> None:
    ejected = {"app1:5001": "connect_failed", "app2:5002": "check"}
    status = Status("dev", "http://here", (SAME,), ejected=ejected)
    assert shown(status) == [
        "dev: server app1:5001 is ejected: no connection",
        "dev: server app2:5002 is ejected: health checks fail",
        "dev: no drift in 1 resources, serving at http://here",
    ]
    assert as_object(status)["ejected"] == ejected
    assert not status.drift


def test_the_status_as_json() -> None:
    assert as_object(Status("dev", "", (SAME, LONG))) == {
        "stack": "dev",
        "url": None,
        "drift": True,
        "updating": None,
        "ejected": {},
        "resources": [
            {
                "name": "port 8080",
                "desired": "127.0.0.1:8080",
                "actual": "127.0.0.1:8080",
                "difference": None,
            },
            {
                "name": LONG.name,
                "desired": "running",
                "actual": "- [b]",
                "difference": "not found",
            },
        ],
    }
