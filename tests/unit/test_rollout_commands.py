"""Commands of a rollout that look at it, or ask something of it, are cheap and change nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from loadbalancer.display.rollout import Terminal
from loadbalancer.rollout import force
from loadbalancer.rollout.commands import Rollouts, history
from loadbalancer.rollout.control import Command, Control, Reply, Request, this_process
from loadbalancer.rollout.errors import Ending, RolloutError, UsageError
from loadbalancer.rollout.record import Progress
from loadbalancer.state import config_file, message
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile
from loadbalancer.state.history import History
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError
from tests.rollout import FakeEnvironment, FakeStack, Killed, run, start

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
        return Rollouts(self.project, "dev", Recorded(self.printed, machine=machine), patience=0)

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
    for number, text in enumerate(("First", "Second")):
        entry = {"startTime": number, "message": text, "kind": "update", "config": {}}
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
            received = stack.control.receive()
            assert received
            # It says which rollout it is for, and how far that was.
            assert replace(received, id="") == Command(request, "0123abcd", 0)
            assert stack.printed[-1].startswith(f"Requested of the rollout of dev: {request.value}")
            assert "./lb rollout status --stack dev" in stack.printed[-1]
        with pytest.raises(RolloutError, match=r"is running\. Halt it.*abort --keep --stack dev"):
            rollouts.abort(keep=True)
        with pytest.raises(RolloutError, match=r"is running \(process 1 of .*rollout status"):
            rollouts.start({})
        assert stack.control.receive() is None


def test_what_the_running_rollout_replies(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.record()
    rollouts = stack.rollouts()
    reply = Reply("step 1 of 3 was promoted, to the next step", done=True)

    def send(control: Control, command: Command) -> Command:
        control.reply(command, reply)
        return command

    monkeypatch.setattr(Control, "send", send)
    with stack.control.lock():
        assert rollouts.promote() is Ending.REACHED
        assert stack.printed[-1] == (
            "The rollout of dev: step 1 of 3 was promoted, to the next step."
        )
        reply = Reply("it is from step 1, and the rollout is at step 2", done=False)
        with pytest.raises(RolloutError, match=r"^promote was refused: it is from step 1, and"):
            rollouts.promote()


def test_a_broken_stack_file_has_a_way_on(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "WRITING", 0.0)
    stack.project.stack_file("dev").write_text("config: [")
    rollouts = stack.rollouts()
    verbs = (rollouts.status, rollouts.resume, rollouts.abort, lambda: rollouts.start({}))
    for verb in (*verbs, rollouts.rollback, rollouts.pause, rollouts.promote):
        with pytest.raises(
            RolloutError, match=r"^Pulumi\.dev\.yaml is not valid.*abort --force --stack dev$"
        ):
            verb()
    with pytest.raises(UsageError, match="--keep"):
        rollouts.abort(keep=True, force=True)


def rollout_in_history(stack: Stack) -> Progress:
    """Put a rollout into the history of the stack, at its second step."""
    fake = FakeStack()
    progress = start(fake, steps="10,50,100")
    with pytest.raises(Killed):
        run(FakeEnvironment(fake, killed_at=13), progress)
    folder = stack.project.folder / ".pulumi/history/edge/dev"
    for number, one in enumerate(reversed(fake.history)):
        config = {"edge:weights": {"app1": 1}, "edge:port": "8080", "edge:drain": "99"}
        config |= {key: value["value"] for key, value in one["config"].items() if key == RECORD_KEY}
        entry = {**one, "config": config}
        (folder / f"dev-{number}.history.json").write_text(json.dumps(entry))
    return progress


def test_the_record_and_the_file_are_found_again_by_the_history(stack: Stack) -> None:
    path = stack.project.stack_file("dev")
    file = ConfigFile(stack.project, "dev", NoProcess(stack.project.folder))
    updates = History(stack.project, "dev", NoProcess(stack.project.folder))
    (stack.project.folder / ".pulumi/history/edge/dev").mkdir(parents=True)
    with pytest.raises(RolloutError, match=r"no rollout of dev is in progress.*rollback"):
        force.prepare(file, updates, "dev")
    progress = rollout_in_history(stack)
    assert force.prepare(file, updates, "dev").id == progress.id
    path.write_text("config: {}\n")
    assert list(force.restore(stack.project, "dev", file)) == []
    (stack.project.folder / "Pulumi.yaml").write_text(
        "name: edge\nbackend: {url: 'file://.'}\nconfig: {port: {default: 8080}}\n"
    )
    salt = {"type": "passphrase", "state": {"salt": "v1:abc"}}
    checkpoint = {"checkpoint": {"latest": {"secrets_providers": salt}}}
    (stack.project.folder / ".pulumi/stacks/edge/dev.json").write_text(json.dumps(checkpoint))
    path.write_text("config: [ # mine")
    said = list(force.restore(stack.project, "dev", file))
    assert "has the config of the last update again" in said[-1]
    # Without what Pulumi.yaml says as well.
    assert file.values().keys() == {"edge:weights", "edge:drain", RECORD_KEY}
    assert yaml.safe_load(path.read_text())["encryptionsalt"] == "v1:abc"
    (kept,) = stack.project.folder.glob("*.broken")
    assert kept.read_text() == "config: [ # mine"
    assert f"It is kept as {kept.name}." in said
    # So it has where the file is missing.
    restored = path.read_text()
    path.unlink()
    said = list(force.restore(stack.project, "dev", file))
    assert said[0] == "Pulumi.dev.yaml is missing."
    assert path.read_text() == restored
    # In the meantime it has ended.
    folder = stack.project.folder / ".pulumi/history/edge/dev"
    text = message.write(Message("Back.", Kind.ROLLED_BACK, progress.id, "me@here"))
    entry = {"startTime": 9, "message": text, "kind": "update", "result": "succeeded"}
    (folder / "dev-9.history.json").write_text(json.dumps(entry))
    path.unlink()
    with pytest.raises(RolloutError, match="no rollout of dev is in progress"):
        force.prepare(file, updates, "dev")


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


class NoProcess(Pulumi):
    """Fails the test when a process would be started."""

    def run(self, *arguments: str, **_: object) -> str:
        raise AssertionError(arguments)


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
# Nobody replies, and nothing is to be waited for.
rollouts = Rollouts(Project.find(Path(sys.argv[1])), "dev", Terminal(), patience=0)
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
