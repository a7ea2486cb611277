"""Whose something on an engine is: by the networks of states, whatever is renamed."""

import gzip
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadbalancer import names
from loadbalancer.state import identity
from loadbalancer.state.identity import Identity, IdentityError
from loadbalancer.state.project import Project

HOST = socket.gethostname()


def project(folder: Path, name: str = "loadbalancer", backend: str = "") -> Project:
    folder.mkdir(exist_ok=True)
    return Project(folder, name, backend or f"{(folder / '.state').as_uri()}?metadata=skip")


def state(network: str, resource: str = "loadbalancer-dev", **labels: str) -> dict[str, Any]:
    """A deployment with a network."""
    given = [{"label": f"loadbalancer.{key}", "value": value} for key, value in labels.items()]
    kind = "docker:index/network:Network"
    urn = f"urn:pulumi:dev::loadbalancer::{kind}::{resource}"
    stack = {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::loadbalancer::s::s"}
    return {
        "resources": [
            stack,
            {"type": kind, "urn": urn, "outputs": {"name": network, "labels": given}},
        ]
    }


def keep(where: Project, deployment: dict[str, Any], path: str = "loadbalancer/dev.json") -> None:
    """Write a deployment to a file backend."""
    assert where.file_backend is not None
    file = where.file_backend / "stacks" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps({"checkpoint": {"latest": deployment}}).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


def test_a_new_stack_is_named_and_labelled_by_where_it_is(tmp_path: Path) -> None:
    found = identity.read(project(tmp_path), "organization/loadbalancer/dev")
    assert found.prefix == "loadbalancer-dev"
    assert found.labels == {
        names.PROJECT: "loadbalancer",
        names.STACK: "dev",
        names.CHECKOUT: f"{HOST}:{tmp_path}",
        names.BACKEND: ".state",
    }
    assert not found.owns({**found.labels, names.NETWORK: "n-1"})


def test_a_stack_keeps_its_names_and_labels_when_anything_is_renamed(tmp_path: Path) -> None:
    first = project(tmp_path / "before")
    labels = {"project": "loadbalancer", "stack": "dev", "checkout": f"{HOST}:{first.folder}"}
    deployment = state("n-1", **labels)
    keep(first, deployment)
    before = identity.read(first, "dev")
    # `mv` of the folder, `pulumi stack rename`, and another name in Pulumi.yaml.
    second = project(tmp_path / "after", name="balancer")
    keep(second, deployment, "balancer/prod.json")
    after = identity.read(second, "prod")
    assert (after.prefix, after.labels) == (before.prefix, before.labels)
    assert after.prefix == "loadbalancer-dev"
    assert after.labels == names.labels("loadbalancer", "dev", checkout=labels["checkout"])
    assert after.owns({**after.labels, names.NETWORK: "n-1"})
    assert not after.owns({**after.labels, names.NETWORK: "n-2"})
    assert not after.owns({**after.labels, names.STACK: "other", names.NETWORK: "n-1"})


def test_what_pulumi_itself_reads_of_a_state_is_the_same(tmp_path: Path) -> None:
    where = project(tmp_path, backend="s3://bucket")
    labels = {"project": "loadbalancer", "stack": "dev"}
    found = identity.of_resources(where, "prod", state("n-1", **labels)["resources"])
    assert (found.prefix, set(found.networks)) == ("loadbalancer-dev", {"n-1"})


@pytest.mark.parametrize("path", ["loadbalancer/dev.json", "loadbalancer/dev.json.gz", "dev.json"])
def test_what_is_in_no_state_any_more_is_lost(tmp_path: Path, path: str) -> None:
    where = project(tmp_path)
    fresh = Identity(where, "dev").labels
    left = {**fresh, names.NETWORK: "n-1"}
    assert identity.read(where, "dev").lost(left)
    for key in fresh:
        assert not identity.read(where, "dev").lost({**left, key: "other"})
    keep(where, state("n-1"), path)
    assert not identity.read(where, "dev").lost(left)
    assert identity.read(where, "dev").lost(fresh, "n-2")


@pytest.mark.parametrize("path", ["loadbalancer/prod.json", "balancer/dev.json.gz"])
def test_what_a_renamed_stack_has_is_not_lost_for_a_new_one_of_its_former_name(
    tmp_path: Path, path: str
) -> None:
    where = project(tmp_path)
    left = {**Identity(where, "dev").labels, names.NETWORK: "n-1"}
    keep(where, state("n-1"), path)
    assert not Identity(where, "dev").lost(left)
    # Nor when another backend is in use meanwhile.
    other = replace(where, backend=tmp_path.as_uri())
    assert not Identity(other, "dev").lost({**left, **Identity(other, "dev").labels})


def test_a_state_that_cannot_be_read_loses_nothing(tmp_path: Path) -> None:
    where = project(tmp_path)
    left = {**Identity(where, "dev").labels, names.NETWORK: "n-1"}
    keep(where, state("n-1"), "loadbalancer/other.json")
    file = tmp_path / ".state/.pulumi/stacks/loadbalancer/other.json"
    file.write_text(file.read_text()[:20])
    (file.parent / "gone.json.bak").write_text("{")
    with pytest.raises(IdentityError, match=r"other\.json is no valid state"):
        Identity(where, "dev").lost(left)


@pytest.mark.parametrize(
    ("backend", "described"),
    [
        ("s3://bucket/path?region=eu", "s3://bucket/path"),
        ("https://api.pulumi.com", "https://api.pulumi.com"),
        ("postgres://me:secret@db/states", "postgres://db/states"),
        ("file:///srv/states?metadata=skip", "file:///srv/states"),
        ("file://./.state", ".state"),
    ],
)
def test_a_label_describes_the_backend_without_secrets(
    tmp_path: Path, backend: str, described: str
) -> None:
    assert identity.backend(project(tmp_path, backend=backend)) == described


def copied(tmp_path: Path) -> tuple[Project, Project]:
    """A checkout with a stack, and a copy of its folder."""
    first, second = project(tmp_path / "a"), project(tmp_path / "b")
    labels = Identity(first, "dev").labels
    given = {key.removeprefix("loadbalancer."): value for key, value in labels.items()}
    for one in (first, second):
        keep(one, state("n-1", **given))
    return first, second


def test_a_copied_state_is_refused_and_a_moved_one_is_not(tmp_path: Path) -> None:
    first, second = copied(tmp_path)
    identity.refuse_copy(identity.read(first, "dev"))
    with pytest.raises(IdentityError) as raised:
        identity.refuse_copy(identity.read(second, "dev"))
    assert f"{tmp_path / 'b/.state'} is a copy of {tmp_path / 'a/.state'}" in str(raised.value)
    assert f"rm -r {tmp_path / 'b/.state'}" in str(raised.value)
    # The first folder has a stack of its own now, as after a move and a fresh clone.
    keep(first, state("n-2"))
    identity.refuse_copy(identity.read(second, "dev"))
    keep(first, state("n-1"))
    (tmp_path / "a").rename(tmp_path / "c")
    identity.refuse_copy(identity.read(second, "dev"))


def test_checkouts_may_share_a_backend(tmp_path: Path) -> None:
    first, second = (project(tmp_path / name, backend=tmp_path.as_uri()) for name in "ab")
    labels = Identity(first, "dev").labels
    given = {key.removeprefix("loadbalancer."): value for key, value in labels.items()}
    keep(first, state("n-1", **given))
    identity.refuse_copy(identity.read(second, "dev"))
    assert identity.read(second, "dev").labels == labels
