"""Restoring containers in place: which calls of the engine set what right, in which order."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import APIError
from requests import Response

from loadbalancer.drift import probe, restore
from loadbalancer.drift.probe import Answer, Published
from loadbalancer.engine import Client, container
from loadbalancer.engine.container import Container, Details, Limits, Port
from loadbalancer.state.deployment import Desired, DesiredContainer, DesiredRoute

MIB = 1024 * 1024
LIMITS = Limits(256 * MIB, 256 * MIB, 1.0, "unless-stopped")
APP = DesiredContainer(
    "urn:app1", "id-app1", "lb-app1", "sha256:a1", {"lb-net": ("app1",)}, limits=LIMITS
)
PORT = Port("127.0.0.1", 8080, 8080)
NGINX = DesiredContainer(
    "urn:nginx", "id-nginx", "lb-a-nginx", "sha256:b2", {"lb-net": ()}, frozenset({PORT})
)
DESIRED = Desired(containers=(NGINX, APP), route=DesiredRoute("id-nginx", ""))


class Engine:
    """An engine with the containers of DESIRED, whose API notes and does what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refused: str = ""
        self.helps = {"reconnect", "restart"}
        self.dead: set[str] = set()
        self.aliases: dict[str, set[str]] = {"id-app1": {"app1"}, "id-nginx": set()}
        details = Details(LIMITS)
        self.containers = {
            one.id: Container(
                one.id,
                one.name,
                "running",
                "healthy",
                one.image,
                networks=frozenset(one.networks),
                ports=one.ports,
                details=replace(details, limits=one.limits),
            )
            for one in DESIRED.containers
        }

    def inspect(self, id_: str) -> Container | None:
        found = self.containers.get(id_)
        if found is None or found.details is None:
            return found
        aliases = {network: frozenset(self.aliases[id_]) for network in found.networks}
        return replace(found, details=replace(found.details, aliases=aliases))

    def change(self, id_: str, **changes: Any) -> None:
        self.containers[id_] = replace(self.containers[id_], **changes)

    def _note(self, call: str, id_: str) -> None:
        self.calls.append(f"{call} {id_.removeprefix('id-')}")
        if self.refused and call.startswith(self.refused):
            raise APIError("refused", Response(), explanation=f"cannot {call}")

    # Docker's API

    def rename(self, id_: str, name: str) -> None:
        self._note("rename", id_)
        self.change(id_, name=name)

    def start(self, id_: str) -> None:
        self._note("start", id_)
        self.change(id_, status="running", health="healthy")

    unpause = start

    def restart(self, id_: str, timeout: int) -> None:
        self._note("restart", id_)
        if "restart" in self.helps:
            self.dead.discard(id_)

    def connect_container_to_network(
        self, id_: str, network: str, aliases: list[str] | None
    ) -> None:
        self._note("connect", id_)
        self.aliases[id_] = set(aliases or ())
        self.change(id_, networks=self.containers[id_].networks | {network})
        if "reconnect" in self.helps:
            self.dead.discard(id_)

    def disconnect_container_from_network(self, id_: str, network: str) -> None:
        self._note(f"disconnect {network}", id_)
        self.change(id_, networks=self.containers[id_].networks - {network})

    def update_container(self, id_: str, **values: Any) -> None:
        self._note("update", id_)
        found = self.containers[id_].details
        assert found
        memory = values["mem_limit"] or found.limits.memory  # as Docker has it
        limits = replace(LIMITS, memory=memory, restart=values["restart_policy"]["Name"])
        self.change(id_, details=replace(found, limits=limits))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(container, "inspect", lambda _client, id_: made.inspect(id_))
    monkeypatch.setattr(probe, "engine_host", lambda _client: None)

    def ask_all(targets: Any, timeout: float = 0) -> Mapping[Published, Answer]:
        dead = Answer(problem="refuses connections", dead=True)
        return {one: dead if one.container in made.dead else Answer(200) for one in targets}

    monkeypatch.setattr(probe, "ask_all", ask_all)
    for name in ("_HEALTH_TIMEOUT", "_PATIENCE", "_PORT_TIMEOUT"):
        monkeypatch.setattr(restore, name, 0.0)
    return made


def run(engine: Engine) -> tuple[list[str], list[str]]:
    """Restore; returns the lines of progress, and the URNs of what has to be replaced."""
    lines: list[str] = []
    client = cast(Client, SimpleNamespace(api=engine))
    return lines, restore.restore(client, DESIRED, lines.append)


def test_what_is_as_desired_is_left_alone(engine: Engine) -> None:
    assert run(engine) == ([], [])
    assert engine.calls == []


def test_a_renamed_container_gets_its_name_back(engine: Engine) -> None:
    engine.change("id-app1", name="mine")
    assert run(engine) == (["renaming mine back to lb-app1"], [])
    assert engine.calls == ["rename app1"]


def test_a_container_is_replaced_whose_name_is_taken(engine: Engine) -> None:
    engine.change("id-app1", name="mine")
    engine.refused = "rename"
    lines, replaced = run(engine)
    assert lines[-1] == "lb-app1: cannot rename"
    assert replaced == ["urn:app1"]


def test_networks_and_aliases_come_before_the_process(engine: Engine) -> None:
    engine.change("id-app1", status="exited", health="unhealthy", networks=frozenset({"other"}))
    engine.change("id-nginx", status="paused")
    lines, replaced = run(engine)
    assert replaced == []
    # nginx last: it looks for the apps when it starts.
    assert engine.calls == ["connect app1", "disconnect other app1", "start app1", "start nginx"]
    assert lines == [
        "connecting lb-app1 to network lb-net",
        "disconnecting lb-app1 from network other",
        "starting lb-app1",
        "unpausing lb-a-nginx",
    ]


def test_a_lost_alias_is_given_by_connecting_again(engine: Engine) -> None:
    engine.aliases["id-app1"] = set()
    assert run(engine) == (["connecting lb-app1 to network lb-net"], [])
    assert engine.calls == ["disconnect lb-net app1", "connect app1"]


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (replace(LIMITS, restart="no"), "restart policy no instead of unless-stopped"),
        (replace(LIMITS, memory=MIB), "memory 1 MiB instead of 256 MiB"),
        (replace(LIMITS, cpus=0.25), "cpus 0.25 instead of 1"),
    ],
)
def test_limits_are_set_back_while_the_container_runs(
    engine: Engine, limits: Limits, text: str
) -> None:
    engine.change("id-app1", details=Details(limits))
    assert run(engine) == ([f"setting lb-app1 back: {text}"], [])
    assert engine.calls == ["update app1"]


def test_a_container_is_replaced_whose_memory_cannot_be_unlimited_again(engine: Engine) -> None:
    engine.change("id-nginx", details=Details(Limits(memory=MIB)))
    _, replaced = run(engine)
    assert replaced == ["urn:nginx"]


def test_a_dead_port_is_published_again_without_a_restart(engine: Engine) -> None:
    engine.dead = {"id-nginx"}
    lines, replaced = run(engine)
    assert lines == ["reconnecting lb-a-nginx, since http://127.0.0.1:8080 does not answer"]
    assert engine.calls == ["disconnect lb-net nginx", "connect nginx"]
    assert replaced == []


def test_a_container_is_restarted_only_if_reconnecting_does_not_help(engine: Engine) -> None:
    engine.dead, engine.helps = {"id-nginx"}, {"restart"}
    lines, replaced = run(engine)
    assert engine.calls[-1] == "restart nginx"
    assert lines[-1].startswith("restarting lb-a-nginx")
    assert replaced == []


def test_a_busy_container_is_left_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Answer(problem="no answer within 5 s")
    monkeypatch.setattr(probe, "ask_all", lambda targets: dict.fromkeys(targets, busy))
    assert run(engine) == ([], [])
    assert engine.calls == []


def test_an_unhealthy_container_may_recover_before_it_is_replaced(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "_PATIENCE", 60.0)
    engine.change("id-app1", health="unhealthy")
    looks = iter(range(9))
    found = engine.inspect

    def inspect(id_: str) -> Container | None:
        if id_ == "id-app1" and next(looks, None) is None:
            engine.change("id-app1", health="healthy")
        return found(id_)

    monkeypatch.setattr(engine, "inspect", inspect)
    monkeypatch.setattr(container, "inspect", lambda _client, id_: inspect(id_))
    assert run(engine) == ([], [])


def test_an_unhealthy_container_is_replaced(engine: Engine) -> None:
    engine.change("id-app1", health="unhealthy")
    _, replaced = run(engine)
    assert replaced == ["urn:app1"]


def test_a_container_that_is_gone_is_left_to_pulumi(engine: Engine) -> None:
    del engine.containers["id-app1"]
    assert run(engine) == ([], [])


def test_up_starts_what_was_stopped_nginx_last_and_nothing_else(engine: Engine) -> None:
    lines: list[str] = []
    client = cast(Client, SimpleNamespace(api=engine))
    engine.change("id-app1", name="mine")
    restore.start(client, DESIRED, lines.append)
    assert (engine.calls, lines) == ([], [])
    engine.change("id-app1", status="exited")
    engine.change("id-nginx", status="exited")
    restore.start(client, DESIRED, lines.append)
    assert engine.calls == ["start app1", "start nginx"]
    assert lines == [f"starting lb-{one}, which was stopped" for one in ("app1", "a-nginx")]


@pytest.mark.parametrize("why", ["cannot start", "is not healthy"])
def test_up_fails_where_a_container_does_not_start(
    engine: Engine, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.change("id-nginx", status="exited", health="unhealthy")
    if why == "cannot start":
        engine.refused = "start"
    else:
        monkeypatch.setattr(engine, "start", lambda id_: engine.change(id_, status="running"))
    with pytest.raises(restore.StartError, match=f"lb-a-nginx:? {why}"):
        restore.start(cast(Client, SimpleNamespace(api=engine)), DESIRED, lambda _: None)
