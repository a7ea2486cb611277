"""The handover of ports from a container to its successor: its order, and what fails."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer import engine, names
from loadbalancer.engine import handover
from loadbalancer.engine.handover import HandoverError, hand_over
from loadbalancer.providers.handover import HandoverProvider

NETWORK = {names.NETWORK: "net-1"}
HEALTHY = {"Status": "running", "ExitCode": 0, "Health": {"Status": "healthy"}}


class Engine:
    """An engine with containers that publish one port each, and what was done to them, in order."""

    def __init__(self, *handles: "Handle") -> None:
        self.done: list[str] = []
        self.configs: list[dict[str, Any]] = []
        self.handles = {one.id: one for one in handles}
        for one in handles:
            one.engine = self
        self.api = SimpleNamespace(
            containers=lambda **_: [one.summary() for one in self.handles.values()],
            create_container_from_config=self.create,
            remove_container=self.remove,
        )
        self.containers = SimpleNamespace(get=self.get)

    def get(self, name: str) -> "Handle":
        return next(one for one in self.handles.values() if name in {one.id, one.name})

    def create(self, config: dict[str, Any], name: str) -> dict[str, str]:
        self.configs.append(config)
        trial = Handle(name, bind="", running=False)
        trial.engine = self
        trial.sick = any(one.sick and name.startswith(one.name) for one in self.handles.values())
        self.handles[name] = trial
        self.done.append(f"create {name}")
        return {"Id": name}

    def remove(self, name: str, **_: object) -> None:
        if name not in self.handles:
            raise engine.NotFound(name)
        del self.handles[name]
        self.done.append(f"remove {name}")


class Handle:
    """A container as Docker's SDK has it."""

    engine: Engine

    def __init__(
        self, name: str, *, bind: str = "127.0.0.1", running: bool = True, app: str = ""
    ) -> None:
        self.id = self.name = name
        self.labels = {**NETWORK, **({names.APP: app} if app else {})}
        self.bound = bind
        self.status = "running" if running else "created"
        self.sick = self.broken = False
        binding = [{"HostIp": bind, "HostPort": "8080"}] if bind else []
        self.attrs: dict[str, Any] = {
            "Config": {"Image": "sha256:1", "Hostname": name, "Env": ["BUILD=1"]},
            "HostConfig": {"PortBindings": {"8080/tcp": binding}, "Binds": ["vol:/etc/x:rw"]},
            "NetworkSettings": {"Networks": {"net-1": {}}},
            "RestartCount": 0,
            "State": dict(HEALTHY),
        }

    def summary(self) -> dict[str, Any]:
        published = [{"IP": self.bound, "PublicPort": 8080, "PrivatePort": 8080, "Type": "tcp"}]
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "State": self.status,
            "Labels": self.labels,
            "Ports": published if self.status == "running" and self.bound else [],
        }

    def start(self) -> None:
        self.engine.done.append(f"start {self.name}")
        if self.broken:
            raise engine.APIError("address already in use")
        self.status = "running"
        if self.sick:
            self.attrs["State"] = {"Status": "exited", "ExitCode": 3}

    def stop(self, timeout: int) -> None:
        self.engine.done.append(f"stop {self.name} {timeout}")
        self.status = "exited"

    def reload(self) -> None:
        return

    def logs(self, **_: object) -> bytes:
        return b"no such file"


def run(*handles: Handle) -> list[str]:
    made = Engine(*handles)
    hand_over(cast(engine.Client, made), "new", grace=7)
    return made.done


def test_the_successor_is_tried_before_its_predecessor_stops() -> None:
    assert run(Handle("old"), Handle("new", running=False)) == [
        "create new-trial",
        "start new-trial",
        "remove new-trial",
        "stop old 7",
        "start new",
    ]


def test_the_trial_publishes_no_port_that_is_taken_and_writes_to_no_volume() -> None:
    made = Engine(Handle("old"), Handle("new", bind="0.0.0.0", running=False))  # noqa: S104
    hand_over(cast(engine.Client, made), "new", grace=7)
    (config,) = made.configs
    assert config["HostConfig"]["PortBindings"] == {}
    assert config["HostConfig"]["Binds"] == ["vol:/etc/x:ro"]
    assert config["HostConfig"]["NetworkMode"] == "net-1"
    assert config["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert "Hostname" not in config
    assert config["Env"] == ["BUILD=1"]


def test_the_trial_publishes_a_port_that_is_new() -> None:
    new = Handle("new", running=False)
    added = [{"HostIp": "127.0.0.1", "HostPort": "9090"}]
    new.attrs["HostConfig"]["PortBindings"]["9113/tcp"] = added
    made = Engine(Handle("old"), new)
    hand_over(cast(engine.Client, made), "new", grace=7)
    assert made.configs[0]["HostConfig"]["PortBindings"] == {"9113/tcp": added}


@pytest.mark.parametrize(
    "other",
    [
        Handle("old", app="app1"),
        Handle("old", bind="192.0.2.1"),
        Handle("old", running=False),
    ],
)
def test_a_container_that_is_not_in_the_way_keeps_running(other: Handle) -> None:
    assert run(other, Handle("new", running=False)) == ["start new"]


def test_a_container_of_another_network_keeps_running() -> None:
    other = Handle("old")
    other.labels[names.NETWORK] = "net-2"
    assert run(other, Handle("new", running=False)) == ["start new"]


def test_a_container_that_runs_has_taken_over() -> None:
    assert run(Handle("new")) == []


def test_a_successor_that_is_sick_does_not_stop_its_predecessor() -> None:
    old, new = Handle("old"), Handle("new", running=False)
    new.sick = True
    made = Engine(old, new)
    with pytest.raises(
        HandoverError, match="old keeps serving: container new-trial ended"
    ) as error:
        hand_over(cast(engine.Client, made), "new", grace=7)
    assert "no such file" in str(error.value)
    assert made.done == ["create new-trial", "start new-trial", "remove new-trial"]
    assert old.status == "running"


def test_a_successor_that_the_engine_does_not_start_is_put_back() -> None:
    old, new = Handle("old"), Handle("new", running=False)
    new.broken = True
    made = Engine(old, new)
    with pytest.raises(HandoverError, match=r"old was started again and serves: .*already in use"):
        hand_over(cast(engine.Client, made), "new", grace=7)
    assert made.done[-4:] == ["stop old 7", "start new", "stop new 0", "start old"]


def test_an_interrupted_handover_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Handle("old"), Handle("new", running=False)
    made = Engine(old, new)

    def wait(_client: engine.Client, hosts: list[str], **_: float) -> None:
        if "new" in hosts:
            raise KeyboardInterrupt

    monkeypatch.setattr(handover, "wait_until_ready", wait)
    with pytest.raises(HandoverError, match="old was started again"):
        hand_over(cast(engine.Client, made), "new", grace=7)
    assert old.status == "running"
    assert new.status == "exited"


def test_without_a_predecessor_the_error_is_the_engines_own() -> None:
    new = Handle("new", running=False)
    new.broken = True
    with pytest.raises(engine.APIError):
        hand_over(cast(engine.Client, Engine(new)), "new", grace=7)


@pytest.mark.parametrize(("status", "found"), [("running", "id"), ("exited", ""), ("created", "")])
def test_a_refresh_finds_a_container_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, status: str, found: str
) -> None:
    held = SimpleNamespace(get=lambda _: SimpleNamespace(status=status))
    monkeypatch.setattr(engine, "connect", lambda: SimpleNamespace(containers=held))
    provider, props = HandoverProvider(), {"container": "id", "grace": 5}
    read = provider.read("id", props).outs
    assert read == {**props, "container": found}
    assert provider.diff("id", {**props, "container": found}, props).changes == (not found)


def test_a_longer_drain_alone_hands_nothing_over() -> None:
    provider = HandoverProvider()
    assert not provider.diff(
        "id", {"container": "id", "grace": 5}, {"container": "id", "grace": 9}
    ).changes
