"""Commands of a rollout that look at it, or ask something of it, are cheap and change nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadbalancer.display.rollout import Terminal
from loadbalancer.rollout.commands import Rollouts, history
from loadbalancer.rollout.control import Control, Request, this_process
from loadbalancer.rollout.errors import Ending, RolloutError
from loadbalancer.state.config_file import RECORD_KEY
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError
from tests.rollout import FakeStack, start

ROOT = Path(__file__).resolve().parents[2]


class Recorded(Terminal):
    """A terminal that keeps what it is asked to print for people."""

    def __init__(self, printed: list[str], *, machine: bool) -> None:
        super().__init__(machine=machine)
        self._printed = printed

    def say(self, text: str) -> None:
        self._printed.append(text)


@dataclass
class Stack:
    """A stack of a file backend, as files alone, and what its commands print."""

    project: Project
    control: Control
    printed: list[str] = field(default_factory=list)

    def rollouts(self, *, machine: bool = False) -> Rollouts:
        return Rollouts(self.project, "dev", Recorded(self.printed, machine=machine))

    def record(self, host: str = "") -> None:
        """Write the record of a rollout whose process is gone."""
        progress = start(FakeStack())
        progress.holder.host = host or this_process().host
        config = {RECORD_KEY: progress.write()}
        self.project.stack_file("dev").write_text(json.dumps({"config": config}))


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    def no_process(*_: object, **__: object) -> str:
        raise AssertionError("a Pulumi process was started")

    monkeypatch.setattr(Pulumi, "run", no_process)
    (tmp_path / "Pulumi.yaml").write_text("name: edge\nbackend: {url: 'file://.'}\n")
    folder = tmp_path / ".pulumi/stacks/edge"
    folder.mkdir(parents=True)
    (folder / "dev.json").write_text("{}")
    yield Stack(Project.find(tmp_path, {}), Control(tmp_path, "dev"))


def test_a_stack_that_does_not_exist(stack: Stack) -> None:
    with pytest.raises(StackNotFoundError, match="no stack named 'other'"):
        Rollouts(stack.project, "other", Terminal())
    with pytest.raises(StackNotFoundError, match="no stack named 'other'"):
        history(stack.project, "other")


def test_status_without_a_rollout_tells_the_last_update(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stack.rollouts().status() is Ending.REACHED
    assert stack.printed == ["No rollout of dev is in progress."]
    folder = stack.project.folder / ".pulumi/history/edge/dev"
    folder.mkdir(parents=True)
    for number, message in enumerate(("First", "Second")):
        entry = {"startTime": number, "message": message, "kind": "update", "config": {}}
        (folder / f"dev-{number}.history.json").write_text(json.dumps(entry))
    stack.rollouts().status()
    assert stack.printed[-1] == "The last update: Second"
    stack.rollouts(machine=True).status()
    assert json.loads(capsys.readouterr().out) is None


def test_status_of_a_running_and_of_an_interrupted_rollout(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.record()
    with stack.control.lock():
        stack.rollouts().status()
        assert stack.printed[-1].endswith("step 1 of 3, now app1=100,app2=0.\nIt is running.")
        stack.rollouts(machine=True).status()
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["steps"], found["id"]) == (True, 3, "0123abcd")
    stack.rollouts().status()
    assert "was interrupted, at step 1 of 3" in stack.printed[-1]
    assert "./lb rollout resume --stack dev" in stack.printed[-1]


def test_requests_reach_the_running_rollout(stack: Stack) -> None:
    stack.record()
    rollouts = stack.rollouts()
    with stack.control.lock():
        for send, request in (
            (rollouts.pause, Request.PAUSE),
            (rollouts.resume, Request.RESUME),
            (rollouts.promote, Request.PROMOTE),
            (lambda: rollouts.promote(full=True), Request.PROMOTE_FULL),
            (rollouts.abort, Request.ABORT),
        ):
            assert send() is Ending.REACHED
            assert stack.control.receive() is request
            assert stack.printed[-1] == f"Requested of the rollout of dev: {request.value}."
        with pytest.raises(RolloutError, match=r"is running\. Halt it.*abort --keep --stack dev"):
            rollouts.abort(keep=True)
        with pytest.raises(RolloutError, match=r"is running \(process 1 of .*rollout status"):
            rollouts.start({})
        assert stack.control.receive() is None


def test_requests_without_a_running_rollout(stack: Stack) -> None:
    rollouts = stack.rollouts()
    for send in (rollouts.pause, rollouts.promote, rollouts.resume, rollouts.abort):
        with pytest.raises(RolloutError, match=r"no rollout of dev is in progress\. Start one: "):
            send()
    stack.record()
    for send in (rollouts.pause, rollouts.promote):
        with pytest.raises(RolloutError, match=r"was interrupted.*\./lb rollout resume"):
            send()
    with pytest.raises(RolloutError, match="was interrupted"):
        rollouts.rollback()
    # Without a terminal the choice is left to the user.
    assert rollouts.start({}) is Ending.HALTED
    assert "was interrupted" in stack.printed[-2]
    assert "./lb rollout abort --stack dev" in stack.printed[-1]


def test_a_rollout_of_another_host_is_left_to_it(stack: Stack) -> None:
    stack.record(host="elsewhere")
    for command in (stack.rollouts().resume, stack.rollouts().abort):
        with pytest.raises(RolloutError, match=r"on elsewhere has a rollout.*config rm .*progress"):
            command()


def test_a_damaged_record_is_named_with_its_fix(stack: Stack) -> None:
    stack.project.stack_file("dev").write_text(json.dumps({"config": {RECORD_KEY: "{}"}}))
    for command in (stack.rollouts().status, lambda: stack.rollouts().start({})):
        with pytest.raises(RolloutError, match=r"is not the record of a rollout.*pulumi config rm"):
            command()


SLOW = ("pydantic", "docker", "pulumi", "rich", "requests")
CHEAP = """
import sys
from pathlib import Path
from loadbalancer.display.rollout import Terminal
from loadbalancer.rollout.commands import Rollouts
from loadbalancer.rollout.errors import RolloutError
from loadbalancer.state.project import Project
rollouts = Rollouts(Project.find(Path(sys.argv[1])), "dev", Terminal())
rollouts.status()
for command in (rollouts.pause, rollouts.promote, rollouts.resume, rollouts.abort):
    command()
print(sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


def test_looking_and_asking_import_nothing_slow(stack: Stack) -> None:
    stack.record()
    with stack.control.lock():
        done = subprocess.run(
            [sys.executable, "-c", CHEAP, str(stack.project.folder), *SLOW],
            cwd=ROOT,
            env={"PATH": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
