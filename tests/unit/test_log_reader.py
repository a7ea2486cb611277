"""The containers and networks whose logs are a stack's, by what the engine answers."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from requests import ConnectionError as NoConnectionError

from loadbalancer import engine, names
from loadbalancer.engine import Client, EngineError, NotFound
from loadbalancer.logs import stream
from loadbalancer.logs.filter import Filter, FilterError
from loadbalancer.logs.parse import Attempt, Line, Source
from loadbalancer.logs.reader import LogSource, source_of
from loadbalancer.logs.stream import LogsError
from loadbalancer.state import deployment
from loadbalancer.state.deployment import Desired
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import StackNotFoundError
from tests.loglines import AT, OF_NGINX, stamp

NAMES = {names.PROJECT: "loadbalancer", names.STACK: "dev"}
SUMMARIES = [
    {
        "Id": "1",
        "Names": ["/loadbalancer-dev-nginx-a1"],
        "Labels": {**NAMES, names.NETWORK: "ours"},
        "State": "running",
    },
    {
        "Id": "2",
        "Names": ["/loadbalancer-dev-app1-1-b2"],
        "Labels": {**NAMES, names.APP: "app1", names.NETWORK: "ours"},
        "State": "exited",
    },
    {
        "Id": "345678901234567",
        "Names": None,
        "Labels": {**NAMES, names.APP: "app2", names.NETWORK: "theirs"},
        "State": "paused",
    },
]


class FakeEngine:
    """Docker's API as far as logs need it; an error in place of an answer is raised."""

    def __init__(self, containers: object = (), pieces: Sequence[object] = ()) -> None:
        self.asked: list[dict[str, Any]] = []
        self._containers = containers
        self._pieces = pieces

    @property
    def client(self) -> Client:
        return cast(Client, SimpleNamespace(api=self))

    def containers(self, **arguments: Any) -> object:
        self.asked.append(arguments)
        return _or_raise(self._containers)

    def logs(self, id_: str, **arguments: Any) -> Iterator[object]:
        self.asked.append({"id": id_, **arguments})
        return (_or_raise(piece) for piece in self._pieces)


def _or_raise(found: object) -> object:
    if isinstance(found, Exception):
        raise found
    return found


def ours(networks: Collection[str]) -> Collection[str]:
    return {"ours"}.intersection(networks)


def test_containers_are_found_by_the_stacks_networks() -> None:
    fake = FakeEngine(SUMMARIES)
    found = LogSource(fake.client, ours).containers()
    assert [(one.id, source_of(one), one.stopped) for one in found] == [
        ("1", Source("nginx-a1", None), False),
        ("2", Source("app1-1-b2", "app1"), True),
    ]
    found = LogSource(fake.client, lambda networks: networks).containers()
    assert [one.id for one in found] == ["1", "2", "345678901234567"]
    assert fake.asked == [{"all": True, "filters": {"label": [names.NETWORK]}}] * 2


def test_no_engine_is_an_error_that_the_command_line_knows() -> None:
    source = LogSource(FakeEngine(NoConnectionError("refused")).client, ours)
    with pytest.raises(EngineError, match="refused"):
        source.containers()


@pytest.mark.parametrize("end", [NotFound("gone"), NoConnectionError("cut"), OSError("cut")])
def test_a_log_ends_quietly_with_its_container(end: Exception) -> None:
    port = names.listening_ports(["app1"])["app1"]
    record = {**OF_NGINX, "upstream": f"10.0.0.1:{port}", "upstream_status": "200"}
    pieces = [f"{AT} {json.dumps(record)}\n".encode(), f"{stamp(0)} cut".encode(), end]
    fake = FakeEngine(SUMMARIES, pieces)
    source = LogSource(fake.client, ours)
    nginx, app1 = source.containers()
    found = list(source.read(nginx, tail=3, follow=False))
    assert [one.text for one in found] == [json.dumps(record), "cut"]
    assert found[0].request is not None
    assert found[0].request.attempts == (Attempt("app1", "200"),)
    assert list(source.read(nginx, tail=None, follow=True)) == []
    assert list(source.read(app1, tail=None, follow=True))
    common = {"timestamps": True, "stream": True}
    assert fake.asked[1:] == [
        {"id": "1", "tail": 3, "follow": False, "since": None, **common},
        {"id": "1", "tail": "all", "follow": True, "since": 1795360828, **common},
        {"id": "2", "tail": "all", "follow": True, "since": None, **common},
    ]


PROJECT = Project(Path(), "loadbalancer", "file://.")


def test_a_stack_of_the_same_name_in_another_checkout_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces = [f"{AT} hello\n".encode()]
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES, pieces).client)
    monkeypatch.setattr(deployment, "read", lambda *_: Desired(known=frozenset({"ours"})))
    found: list[Line] = []
    stream.logs(PROJECT, "dev", Filter(), found.append, tail=9, follow=False)
    assert [one.source.name for one in found] == ["nginx-a1", "app1-1-b2"]
    with pytest.raises(FilterError, match=r"Valid apps: app1$"):
        stream.logs(PROJECT, "dev", Filter(app="app2"), found.append, tail=9, follow=False)


def test_a_stack_without_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor is one of the same name in another checkout shown in its place.
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES).client)
    monkeypatch.setattr(deployment, "read", lambda *_: Desired())
    with pytest.raises(LogsError, match=r"Bring it up: \./lb up --stack dev$"):
        stream.logs(PROJECT, "dev", Filter(), print, tail=9, follow=False)


def test_a_checkout_without_the_stack_shows_no_logs_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "connect", lambda: FakeEngine(SUMMARIES).client)
    project = Project(tmp_path, "loadbalancer", tmp_path.as_uri())
    with pytest.raises(StackNotFoundError):
        stream.logs(project, "dev", Filter(), print, tail=9, follow=False)


@pytest.mark.parametrize(("backend", "reads"), [("file://.", 4), ("s3://bucket", 3)])
def test_a_network_that_is_created_meanwhile_is_the_stacks_own(
    monkeypatch: pytest.MonkeyPatch, backend: str, reads: int
) -> None:
    states = [Desired(known=frozenset(known)) for known in ({"a"}, {"a"}, {"b"}, {"b", "c"})]
    made: list[bool] = []

    def read(*_: object) -> Desired:
        made.append(True)
        return states[len(made) - 1]

    monkeypatch.setattr(deployment, "read", read)
    own = stream.OwnNetworks(Project(Path(), "loadbalancer", backend), "dev")
    assert own({"a"}) == {"a"}
    assert own({"a", "foreign"}) == {"a"}
    assert own({"a", "b", "foreign"}) == {"a", "b"}
    assert own({"foreign"}) == frozenset()
    assert len(made) == reads
