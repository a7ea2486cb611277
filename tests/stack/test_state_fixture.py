"""A stack with a state of the first layout: the present code refreshes and destroys it."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadbalancer import engine
from tests.stack.deployment import Deployment

FIXTURE = Path(__file__).parents[1] / "fixtures/state-v1.json"
DYNAMIC = "pulumi-python:dynamic/"

Resource = dict[str, Any]


def by_kind(resources: list[Resource]) -> dict[str, Resource]:
    """One dynamic resource of each type."""
    return {one["type"]: one for one in resources if one["type"].startswith(DYNAMIC)}


def as_of_fixture(live: Resource, old: Resource) -> Resource:
    """A live resource as the code of the fixture would have left it in the state.

    It has the fixture's provider and exactly its keys; only what is particular to a stack, such as
    IDs and texts, is of the live one.
    """
    found = copy.deepcopy(live)
    for part in ("inputs", "outputs"):
        values = {key: live[part].get(key, value) for key, value in old[part].items()}
        found[part] = {**values, "__provider": old[part]["__provider"]}
    return found


@pytest.fixture
def stack(tmp_path: Path, base_images: dict[str, str]) -> Iterator[Deployment]:
    """A stack of the test's own, which does not exist any more at its end."""
    with Deployment.temporary(tmp_path, base_images) as deployment:
        yield deployment


@pytest.mark.faults
def test_a_stack_of_the_first_layout_is_refreshed_and_destroyed(stack: Deployment) -> None:
    stack.set_all({"port": 0})  # so that it has a Port
    stack.up()
    old = by_kind(json.loads(FIXTURE.read_text())["deployment"]["resources"])
    exported = json.loads(stack.run("stack", "export"))
    live = exported["deployment"]["resources"]
    assert by_kind(live).keys() == old.keys()
    exported["deployment"]["resources"] = [
        as_of_fixture(one, old[one["type"]]) if one["type"] in old else one for one in live
    ]
    file = stack.folder / "state-v1.json"
    file.write_text(json.dumps(exported))
    stack.run("stack", "import", "--file", str(file))

    container, image = next(iter(stack.ids().values())), images(stack)
    assert stack.refresh().keys() == {"same"}
    stack.destroy()
    assert container not in {one.id for one in engine.connect().containers.list(all=True)}
    assert not image & {str(one.id) for one in engine.connect().images.list()}
    assert stack.leftovers() == []
    assert not stack.checkpoint().get("resources")


def images(stack: Deployment) -> set[str]:
    """IDs of the stack's images."""
    found = stack.checkpoint()["resources"]
    return {one["id"] for one in found if one["type"].endswith(":ImageLifetime")}
