"""What `up` and `repair` say of versions that did not come to serve."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer import engine, names
from loadbalancer.drift import failed
from loadbalancer.engine import container
from loadbalancer.engine.container import Container
from loadbalancer.state import deployment, identity
from loadbalancer.state.deployment import Desired, DesiredContainer, DesiredRoute
from loadbalancer.state.project import Project

ROUTE = "upstream apps {\n    server old:5001 weight=3;\n    server app2:5002 weight=2;\n}\n"


def handle(name: str, status: str, **state: object) -> Any:
    labels = {names.APP: "app1", names.STACK: "dev"}
    return SimpleNamespace(
        name=name,
        id=name,
        labels=labels,
        logs=lambda **_: b"no database",
        attrs={
            "RestartCount": 0,
            "State": {"Status": status, "ExitCode": 0, **state},
            "HostConfig": {},
            "Created": "2026-11-27T19:00:00Z",
        },
    )


def client(*handles: Any) -> engine.Client:
    found = {one.name: one for one in handles}
    return cast(engine.Client, SimpleNamespace(containers=SimpleNamespace(get=found.__getitem__)))


def explained(monkeypatch: pytest.MonkeyPatch, route: str, *handles: Any) -> list[str]:
    def find(_client: engine.Client) -> list[Container]:
        return [
            Container(one.id, one.name, one.attrs["State"]["Status"], None, "image", one.labels)
            for one in handles
        ]

    def owns(labels: Mapping[str, str]) -> bool:
        return labels[names.STACK] == "dev"

    monkeypatch.setattr(engine, "connect", lambda: client(*handles))
    monkeypatch.setattr(container, "find", find)
    monkeypatch.setattr(identity, "read", lambda *_: SimpleNamespace(owns=owns))
    desired = Desired(route=DesiredRoute("nginx", route)) if route else Desired()
    monkeypatch.setattr(deployment, "read", lambda *_: desired)
    return list(failed.not_started(cast(Project, None), "dev"))


FAILED = {"ExitCode": 127, "Error": 'exec: "/run": stat /run: no such file or directory'}


@pytest.mark.parametrize(
    ("route", "now"), [(ROUTE, "The version before keeps serving"), ("", "No version serves yet")]
)
def test_a_container_that_could_not_be_started(
    monkeypatch: pytest.MonkeyPatch, route: str, now: str
) -> None:
    (text,) = explained(monkeypatch, route, handle("new", "created", **FAILED))
    assert text.startswith(f"{now}: container new did not start, and ended with exit code 127: ")
    assert "is not there" in text
    assert "Correct apps/app1, then: pulumi up" in text


def test_containers_that_run_or_wait_or_are_of_others_are_not_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = handle("other", "created", **FAILED)
    other.labels[names.STACK] = "staging"
    waiting = handle("waiting", "created")
    assert explained(monkeypatch, ROUTE, other, waiting, handle("runs", "running")) == []


def desired(*containers: tuple[str, tuple[str, ...]]) -> Desired:
    return Desired(
        containers=tuple(
            DesiredContainer(f"urn:{name}", name, name, "image", {"network": aliases})
            for name, aliases in containers
        ),
        route=DesiredRoute("nginx", ROUTE),
    )


def test_a_version_that_never_served_is_announced_before_it_is_tried_again() -> None:
    made = client(handle("new", "exited", ExitCode=3))
    (text,) = failed.tried_again(made, desired(("new", ()), ("old", ())), ["urn:new", "urn:old"])
    assert text.startswith(
        "This version of app1 failed in an update before, and is tried once more. It failed since "
        "container new ended with exit code 3."
    )
    assert "  no database" in text


def test_a_version_that_has_served_is_replaced_without_a_word() -> None:
    state = desired(("old", ()), ("direct", ("app2",)), ("well", ()), ("nginx", ()))
    assert list(failed.tried_again(client(), state, ["urn:old", "urn:direct", "urn:nginx"])) == []
