"""What hands change behind Pulumi's back is shown, and one command mends it, and only it."""

import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.models.containers import Container

from loadbalancer import engine, names
from loadbalancer.drift import status
from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.process import CURRENT
from tests.stack.deployment import Deployment
from tests.stack.editing import edit_by_hand

ORPHAN = "carries the labels, but no state knows it"


def command(stack: Deployment, verb: str, name: str | None = None) -> tuple[int, str]:
    """Run a verb as `make` does; returns its exit code and what it printed."""
    arguments = (sys.executable, "-m", "loadbalancer", verb, "--stack", name or stack.name)
    process = stack.process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=1800)
    return process.returncode, output


def differences(stack: Deployment) -> dict[str, str]:
    """What `status` finds to differ, and in which words; the command must say the same."""
    found = status.look(stack.project, stack.name)
    code, output = command(stack, "status")
    assert code == (2 if found.drift else 0), output
    for row in found.drift:
        (line,) = [line for line in output.splitlines() if line.startswith(f"{row.what} ")]
        assert line.rstrip().endswith(row.difference)
    last = output.splitlines()[-1]
    assert last.endswith(f"make repair STACK={stack.name}") == bool(found.drift)
    return {row.what: row.difference for row in found.drift}


def repair(stack: Deployment) -> str:
    """Run `repair`, which must leave nothing to be done; returns what it printed."""
    code, output = command(stack, "repair")
    assert code == 0, output
    assert differences(stack) == {}
    stack.expect_no_changes()
    return output


def current(stack: Deployment) -> dict[str, str]:
    """IDs of the containers that the stack's outputs name now, whoever brought them up."""
    output = stack.output("containers")
    every = [output["nginx"], *(name for group in output["apps"].values() for name in group)]
    return {name: str(engine.connect().containers.get(name).id) for name in every}


@contextmanager
def running(image: str, labels: dict[str, str], *, start: bool = True) -> Iterator[Container]:
    """A container that no Pulumi made."""
    name = f"by-hand-{uuid.uuid4().hex[:8]}"
    client = engine.connect()
    container = client.containers.create(image, ["sleep", "infinity"], name=name, labels=labels)
    try:
        if start:
            container.start()
        yield container
    finally:
        for left in client.containers.list(all=True, ignore_removed=True, filters={"name": name}):
            left.remove(force=True)


def make_sick(container: Container) -> None:
    """Stop every process inside, so that the container runs but its probe fails."""
    container.exec_run(["bash", "-c", "kill -STOP -1"])
    container.kill("STOP")

    def look() -> object:
        container.reload()
        health = container.attrs["State"]["Health"]["Status"]
        return None if health == "unhealthy" else health

    Wait(600, 0.5).until("the probe to fail", look)


@dataclass(frozen=True)
class Strangers:
    """Containers that no state knows: orphans of a stack, and some that are not its own."""

    orphans: tuple[Container, ...]
    of_others: tuple[Container, ...]


@contextmanager
def strangers(stack: Deployment, image: str) -> Iterator[Strangers]:
    """Start orphans with all labels copied and with two of them, and what others might run."""
    ours = names.labels("loadbalancer", stack.name)
    copied = dict(next(iter(stack.containers().values())).labels)
    elsewhere = {**ours, names.NETWORK: f"loadbalancer-elsewhere-{uuid.uuid4().hex[:7]}"}
    other = {**copied, names.STACK: f"other-{uuid.uuid4().hex[:8]}"}
    with (
        running(image, ours) as plain_orphan,
        running(image, copied) as copied_orphan,
        running(image, elsewhere) as of_another_checkout,
        running(image, elsewhere, start=False) as not_started_of_another_checkout,
        running(image, other) as of_another_stack,
    ):
        yield Strangers(
            (plain_orphan, copied_orphan),
            (of_another_checkout, not_started_of_another_checkout, of_another_stack),
        )


def statuses(containers: Iterable[Container]) -> list[str]:
    """Statuses of containers as they are now; one that is gone has none."""
    # Other tests remove their containers while these are listed.
    every = engine.connect().containers.list(all=True, ignore_removed=True)
    now = {one.id: one.status for one in every}
    return [now[one.id] for one in containers if one.id in now]


@pytest.mark.timeout(3600)
def test_what_a_hand_changed_is_shown_and_mended(
    own_stack: Deployment, base_images: dict[str, str]
) -> None:
    stack, client = own_stack, engine.connect()
    stack.set("drain", 1)
    stack.set_all({"apps.app1.replicas": 4, "apps.app2.replicas": 2})
    stack.up()
    assert differences(stack) == {}
    state, before = stack.checkpoint(), stack.ids()
    containers, output = stack.containers(), stack.output("containers")
    removed, stopped, paused, sick = output["apps"]["app1"]
    alone, right = output["apps"]["app2"]
    network = containers[right].labels[names.NETWORK]
    (tag,) = client.images.get(containers[stopped].attrs["Image"]).tags

    with strangers(stack, base_images["python"]) as those:
        make_sick(containers[sick])
        containers[removed].remove(force=True)
        containers[stopped].stop(timeout=1)
        containers[paused].pause()
        client.networks.get(network).disconnect(containers[alone])
        client.images.remove(tag, force=True)
        route = LiveRoute(stack.nginx()).text()
        edit_by_hand(stack, route.replace("weight=4", "weight=1"))
        edit = ["sed", "-i", "s/16m/17m/", f"{CURRENT}/nginx.conf"]
        assert exec.run(stack.nginx(), edit, user="0") == (0, "")

        found = differences(stack)
        shares = {what: found.pop(what) for what in list(found) if what.startswith("share of")}
        assert re.fullmatch(r"was edited; it .*: server .* weight=1 .*;", found.pop("route"))
        assert found == {
            f"container {removed}": "is not there",
            f"container {stopped}": "is stopped",
            f"container {paused}": "is paused",
            f"container {sick}": "is not healthy",
            f"container {alone}": f"has left network {network}",
            f"image {tag}": "is not there",
            "nginx's nginx.conf": "was edited",
            **{f"container {one.name}": ORPHAN for one in those.orphans},
        }
        assert shares["share of app1"] == "gets 85.71 % instead of 60 %"
        assert shares["share of app2"] == "gets 14.29 % instead of 40 %"
        assert len(shares) == 2 + 6
        # A look changes nothing, neither in the state nor on the engine.
        assert stack.checkpoint() == state
        assert statuses(those.orphans) == ["running", "running"]
        assert statuses(containers.values()).count("running") == 7 - 3

        # The image is still there, so it is not built again.
        assert f"naming image {tag} again" in repair(stack)
        assert statuses(those.orphans) == []
        assert statuses(those.of_others) == ["running", "created", "running"]

    after, kept = current(stack), (output["nginx"], stopped, paused, alone, right)
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert len(set(after.values()) - set(before.values())) == 2
    assert statuses([containers[sick], containers[removed]]) == []

    # And what only Pulumi can bring back: nginx itself, with the route in it.
    stack.nginx().remove(force=True)
    found = differences(stack)
    assert found[f"container {output['nginx']}"] == "is not there"
    assert found["share of app1"] == "is not in the route"
    repair(stack)
    assert len(current(stack).items() & after.items()) == 6
    assert stack.shares(20) == {"app1": 12, "app2": 8}


@pytest.fixture
def empty_stack(tmp_path: Path, base_images: dict[str, str]) -> Iterator[Deployment]:
    """A stack that was made, and never brought up."""
    with Deployment.temporary(tmp_path, base_images) as deployment:
        yield deployment


def test_a_stack_that_declares_nothing_yet_has_no_drift(empty_stack: Deployment) -> None:
    assert differences(empty_stack) == {}


def test_status_does_not_select_the_stack_it_looks_at(empty_stack: Deployment) -> None:
    empty_stack.pulumi_cli.run("stack", "init", "selected")
    code, output = command(empty_stack, "status")
    assert code == 0, output
    assert empty_stack.project.selected() == "selected"


@pytest.mark.parametrize(
    ("stack", "engine_at", "message"),
    [
        ("nobody", None, "there is no stack nobody. Create it: make up STACK=nobody"),
        (None, "unix:///nowhere", "the Docker engine on this machine answers: "),
    ],
)
def test_without_a_stack_or_an_engine_there_is_an_error(
    empty_stack: Deployment, stack: str | None, engine_at: str | None, message: str
) -> None:
    if engine_at:
        empty_stack.environment["DOCKER_HOST"] = engine_at
    code, output = command(empty_stack, "status", stack)
    assert code == 1
    assert output.startswith(f"error: {message}")
