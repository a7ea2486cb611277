"""What a rollout leaves behind and finds: its record, its lock, and the config file."""

import subprocess
import sys
from pathlib import Path

import pytest

from loadbalancer.config.problems import ConfigError
from loadbalancer.rollout import record
from loadbalancer.rollout.control import Command, Control, Reply, Request
from loadbalancer.rollout.errors import AlreadyRunningError
from loadbalancer.rollout.record import Phase
from loadbalancer.rollout.status import RolloutStatus, State
from loadbalancer.state import config_file
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile, ConfigFileError
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi
from tests.rollout import FakeStack, start


def test_a_record_round_trips() -> None:
    progress = start(FakeStack(), compare=True, confirm="2", maxP99="80ms")
    assert record.read(progress.write()) == progress


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "{}",
        lambda _: "[]",
        lambda _: '{"id":"x"}',
        lambda text: text.replace('"holder"', '"bearer"'),
    ],
)
def test_a_damaged_record(damage: "object") -> None:
    text = damage(start(FakeStack()).write())  # type: ignore[operator]
    for read in (record.read, RolloutStatus.parse):
        with pytest.raises(ValueError, match="is not the record of a rollout"):
            read(text)


def test_a_record_with_another_id_is_damaged() -> None:
    with pytest.raises(ValueError, match="is not the record of a rollout: id "):
        record.read(start(FakeStack()).write().replace("0123abcd", "x"))


def test_the_status_tells_what_the_record_holds() -> None:
    progress = start(FakeStack(), steps="10,50,100")
    progress.phase, progress.step, progress.weights = Phase.STEP, 1, {"app1": 1, "app2": 1}
    status = RolloutStatus.parse(progress.write())
    assert (status.step, status.steps, status.state) == (2, 3, State.RUNNING)
    assert (status.before, status.target) == (progress.before, progress.target)
    assert status.holder == progress.holder
    assert status.report("dev", running=True) == (
        "Rollout 0123abcd of dev since 2027-01-15T08:00:00Z, "
        "by process 1 of somebody on somewhere:\n"
        "from app1=100,app2=0 to app1=0,app2=100, step 2 of 3, now app1=1,app2=1.\n"
        "It is running."
    )
    assert status.report("dev", running=False).splitlines()[-1] == (
        "A rollout to app1=0,app2=100 by process 1 of somebody on somewhere was interrupted, "
        "at step 2 of 3 with app1=1,app2=1. Continue it: ./lb rollout resume --stack dev; "
        "roll it back: ./lb rollout abort --stack dev"
    )
    progress.state, progress.reason = State.HALTED, "halted by me"
    assert "was halted: halted by me, at" in RolloutStatus.parse(progress.write()).interrupted()


HOLD = """
import dataclasses, json, pathlib, sys
from loadbalancer.rollout.control import Control, this_process
with Control(pathlib.Path(sys.argv[1]), "dev").lock():
    print(json.dumps(dataclasses.asdict(this_process())), flush=True)
    sys.stdin.read()
"""


def test_one_rollout_at_a_time_and_no_stale_lock_after_a_kill(tmp_path: Path) -> None:
    control = Control(tmp_path, "dev")
    assert not control.is_running()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert f'"pid": {process.pid},' in process.stdout.readline()
        assert control.is_running()
        with pytest.raises(AlreadyRunningError), control.lock():
            pass
        with Control(tmp_path, "other").lock():
            pass
        control.send(Command(Request.PAUSE, "0123abcd", 1))
        process.kill()
        process.wait()
    assert not control.is_running()
    with control.lock():
        # A request for a process that is gone is dropped.
        assert control.receive() is None
        sent = control.send(Command(Request.ABORT, "0123abcd", 1))
        assert control.receive() == sent
        assert control.receive() is None
        # Each command has a reply of its own.
        assert control.wait_for_reply(sent, 0) is None
        control.reply(sent, Reply("it rolls back", done=True))
        later = control.send(sent)
        assert control.wait_for_reply(later, 0) is None
        assert control.wait_for_reply(sent, 0) == Reply("it rolls back", done=True)
        # What is no command is none of ours.
        for text in ("", "[]", "{}", '{"request": "sing"}', '{"request": "pause", "x": 1}'):
            (tmp_path / ".rollout" / "dev.request").write_text(text)
            assert control.receive() is None


def project(folder: Path, name: str = "loadbalancer") -> Project:
    """A project with two apps."""
    for app in ("app1", "app2"):
        (folder / "apps" / app).mkdir(parents=True)
        (folder / "apps" / app / "app.py").touch()
    return Project(folder, name, f"{folder.as_uri()}?metadata=skip")


def test_the_config_file(tmp_path: Path) -> None:
    file = ConfigFile(project(tmp_path), "team/dev")
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
    progress = start(FakeStack())
    path.write_text(f"{text}  {RECORD_KEY}: {progress.write()!r}\n")
    assert record.read(file.record() or "") == progress
    path.write_text(text.replace("app1: 7", "app1: 8").replace("app2: 1", "app2: 2"))
    assert file.digests() == before
    path.write_text(text.replace("81", "82"))
    assert [key for key in before if file.digests()[key] != before[key]] == ["port"]
    path.write_text("config:\n  loadbalancer:weights: app1=x\n")
    with pytest.raises(ConfigError, match="weights"):
        file.settings()


def test_a_project_of_another_name(tmp_path: Path) -> None:
    file = ConfigFile(project(tmp_path, "edge"), "dev")
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  edge:weights: {app1: 7}\n  loadbalancer:weights: {app1: 1}\n  edge:port: 81\n"
    )
    assert file.settings().weights == {"app1": 7, "app2": 4}
    assert sorted(file.digests()) == ["loadbalancer:weights", "port"]


class Decrypting(Pulumi):
    """Knows the values of some keys, and counts how often it is asked."""

    def __init__(self, folder: Path, values: dict[str, str]) -> None:
        super().__init__(folder)
        self.values = values
        self.asked: list[str] = []

    def run(self, *arguments: str, **_: object) -> str:
        assert arguments[:2] == ("config", "get")
        self.asked.append(arguments[2])
        return self.values[arguments[2]]


def test_encrypted_values(tmp_path: Path) -> None:
    text = {"loadbalancer:weights": "app1=7,app2=3", RECORD_KEY: "{}"}
    pulumi = Decrypting(tmp_path, text)
    file = ConfigFile(project(tmp_path), "dev", pulumi)
    path = tmp_path / "Pulumi.dev.yaml"
    # The rollout does not read this one.
    path.write_text("config:\n  loadbalancer:drain: {secure: v1:abc}\n")
    assert file.settings().weights == {"app1": 6, "app2": 4}
    assert not file.has_secret_weights()
    assert pulumi.asked == []
    path.write_text(
        f"config:\n  loadbalancer:weights: {{secure: v1:a}}\n  {RECORD_KEY}: {{secure: v1:b}}\n"
    )
    for _ in range(3):
        assert file.settings().weights == {"app1": 7, "app2": 3}
        assert file.record() == "{}"
    assert file.has_secret_weights()
    # Each ciphertext is decrypted once.
    assert pulumi.asked == ["loadbalancer:weights", RECORD_KEY]
    # Pulumi makes texts of the secrets in an object, and such an object is merged as a plain one.
    text["loadbalancer:weights"] = '{"app1":"9"}'
    path.write_text("config:\n  loadbalancer:weights: {app1: {secure: v1:c}}\n")
    assert file.settings().weights == {"app1": 9, "app2": 4}
    path.write_text("config:\n  loadbalancer:rollout: {to: {app1: {secure: v1:d}}}\n")
    assert file.has_secret_weights()


def test_a_secret_value_is_not_in_the_message_about_it(tmp_path: Path) -> None:
    pulumi = Decrypting(tmp_path, {"loadbalancer:weights": "app1=33337,app2=3"})
    file = ConfigFile(project(tmp_path), "dev", pulumi)
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  loadbalancer:weights: {secure: v1:a}\n")
    with pytest.raises(ConfigError, match=r"^weights\.app1: .*--secret") as refused:
        file.settings()
    assert "33337" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["config: [", "config:\n- 1\n", "just words", "\x00", "a: b: c", "config: 3\n", "\xff"]
)
def test_a_broken_file_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "WRITING", 0.0)
    file = ConfigFile(project(tmp_path), "dev")
    (tmp_path / "Pulumi.dev.yaml").write_bytes(text.encode("latin-1"))
    for read in (file.values, file.record, file.settings, file.digests):
        with pytest.raises(ConfigFileError, match=r"^Pulumi\.dev\.yaml is not valid: [^\n]+$"):
            read()
