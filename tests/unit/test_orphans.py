"""Orphans and lost stacks on an engine that other stacks and checkouts use as well."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadbalancer import names
from loadbalancer.drift import orphans
from loadbalancer.engine import Client
from loadbalancer.state.deployment import RecordedNetwork
from loadbalancer.state.identity import Identity
from loadbalancer.state.project import Project


class Engine:
    """An engine with two things of each kind for every stack: one is in the stack's state."""

    def __init__(self) -> None:
        self._containers: list[dict[str, Any]] = []
        self._things: dict[str, list[dict[str, Any]]] = {"network": [], "volume": [], "image": []}
        self.api = SimpleNamespace(
            containers=self._find,
            networks=lambda **_: self._things["network"],
            volumes=lambda **_: {"Volumes": self._things["volume"]},
            images=lambda **_: self._things["image"],
        )

    @property
    def client(self) -> Client:
        return cast(Client, self)

    def container(
        self, name: str, labels: dict[str, str], *, image: str = "", volume: str = ""
    ) -> None:
        self._containers.append(
            {
                "Id": name,
                "Names": [f"/{name}"],
                "State": "running",
                "Labels": labels,
                "ImageID": image,
                "of": {"network": labels.get(names.NETWORK), "volume": volume},
            }
        )

    def add(self, kind: str, name: str, labels: dict[str, str]) -> None:
        self._things[kind].append(
            {"Name": name, "Id": name, "RepoTags": [f"{name}:1"], "Labels": labels}
        )

    def stack(self, labels: dict[str, str], network: str) -> None:
        """Add a whole stack."""
        own = {**labels, names.NETWORK: network}
        self.add("network", network, labels)
        for name in (f"{network}-app", f"{network}-nginx"):
            self.container(name, own, image=f"{name}-image", volume=f"{name}-volume")
            self.add("image", f"{name}-image", own)
            self.add("volume", f"{name}-volume", own)

    def _find(self, filters: dict[str, Any] | None = None, **_: object) -> list[dict[str, Any]]:
        ((kind, value),) = (filters or {"label": []}).items()
        if kind == "label":
            return self._containers
        return [one for one in self._containers if one["of"][kind] == value]


def whole(network: str) -> list[tuple[str, str]]:
    """Everything of a stack, in the order in which it can be removed."""
    parts = [f"{network}-app", f"{network}-nginx"]
    return [
        *(("container", one) for one in parts),
        ("network", network),
        *(("volume", f"{one}-volume") for one in parts),
        *(("image", f"{one}-image:1") for one in parts),
    ]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, "loadbalancer", "file://./.state")


@pytest.fixture
def engine(project: Project, tmp_path: Path) -> Engine:
    """An engine with the stack of this checkout, one of the same name of another, and strangers."""
    found = Engine()
    found.stack(Identity(project, "dev").labels, "ours")
    elsewhere = Project(tmp_path / "other", "loadbalancer", "file://./.state")
    found.stack(Identity(elsewhere, "dev").labels, "theirs")
    found.stack(names.labels("loadbalancer", "dev"), "of-an-earlier-release")
    found.container("web", {})
    found.add("network", "empty", Identity(elsewhere, "dev").labels)
    return found


def own(project: Project) -> Identity:
    return Identity(
        project, "dev", (RecordedNetwork("r", "ours", Identity(project, "dev").labels),)
    )


def named(found: list[orphans.Orphan]) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in found]


def test_only_what_is_in_the_stacks_own_network_is_an_orphan(
    project: Project, engine: Engine
) -> None:
    identity = own(project)
    known = {name.removesuffix(":1") for _, name in whole("ours")}
    assert list(orphans.find(engine.client, identity, known)) == []
    labels = {**identity.labels, names.NETWORK: "ours"}
    engine.container("by-hand", labels, volume="used")
    engine.add("volume", "used", labels)
    engine.add("volume", "unused", labels)
    engine.add("image", "old", labels)
    # Created by an update that was killed before it recorded this.
    engine.add("network", "unrecorded", identity.labels)
    assert named(list(orphans.find(engine.client, identity, known))) == [
        ("container", "by-hand"),
        ("network", "unrecorded"),
        ("volume", "used"),
        ("volume", "unused"),
        ("image", "old:1"),
    ]
    assert orphans.lost(engine.client, identity) == []


def test_a_stack_without_a_state_is_lost_as_a_whole_and_no_orphan(
    project: Project, engine: Engine
) -> None:
    identity = Identity(project, "dev")
    assert list(orphans.find(engine.client, identity, ())) == []
    assert named(orphans.lost(engine.client, identity)) == whole("ours")
    assert orphans.lost(engine.client, Identity(project, "staging")) == []
    engine.stack(Identity(project, "staging").labels, "also-ours")
    assert named(orphans.lost(engine.client, identity)) == whole("ours")
    every = named(orphans.lost_of_checkout(engine.client, Identity(project, "any")))
    assert sorted(every) == sorted([*whole("ours"), *whole("also-ours")])


def test_what_a_container_of_another_still_needs_stays(project: Project, engine: Engine) -> None:
    engine.container("of-somebody", {}, image="ours-app-image", volume="ours-nginx-volume")
    found = named(orphans.lost(engine.client, Identity(project, "dev")))
    assert set(whole("ours")) - set(found) == {
        ("image", "ours-app-image:1"),
        ("volume", "ours-nginx-volume"),
    }
