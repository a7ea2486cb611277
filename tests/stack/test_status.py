"""Drift: `status` shows manual changes, and `repair` reverts them and nothing else."""

import re
import resource
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from docker.models.containers import Container

from loadbalancer import engine, names
from loadbalancer.drift import status
from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.process import CURRENT
from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import edit_by_hand

NO_RESTARTS: Any = {"Name": "no"}
ORPHAN = "orphan: not in the Pulumi state"


def command(stack: Deployment, verb: str, name: str | None = None) -> tuple[int, str]:
    """Run a verb; returns its exit code and output."""
    arguments = (sys.executable, "-m", "loadbalancer", verb, "--stack", name or stack.name)
    process = stack.process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=1800)
    return process.returncode, output


def differences(stack: Deployment) -> dict[str, str]:
    """Return the differences that `status` finds; the command must print the same."""
    found = status.look(stack.project, stack.name)
    code, output = command(stack, "status")
    assert code == (2 if found.drift else 0), output
    for row in found.drift:
        (line,) = [line for line in output.splitlines() if line.startswith(f"{row.name} ")]
        assert line.rstrip().endswith(row.difference)
    last = output.splitlines()[-1]
    assert last.endswith(f"./lb repair --stack {stack.name}") == bool(found.drift)
    return {row.name: row.difference for row in found.drift}


def repair(stack: Deployment) -> str:
    """Run `repair`, after which there must be no drift; returns its output."""
    code, output = command(stack, "repair")
    assert code == 0, output
    assert differences(stack) == {}
    return output


@contextmanager
def running(image: str, labels: dict[str, str], *, start: bool = True) -> Iterator[Container]:
    """A container that Pulumi did not create."""
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


def make_unhealthy(container: Container) -> None:
    """Stop every process inside, so that the container runs but its health check fails."""
    container.exec_run(["bash", "-c", "kill -STOP -1"])
    container.kill("STOP")

    def look() -> object:
        container.reload()
        health = container.attrs["State"]["Health"]["Status"]
        return None if health == "unhealthy" else health

    Wait(600, 0.5).until("the health check to fail", look)


def exhaust_port_proxy(port: int) -> None:
    """Have Docker's proxy of a published port run out of file descriptors, so that it ends."""
    pattern = f"docker-proxy.* -host-port {port} "
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
    resource.prlimit(int(found.stdout), resource.RLIMIT_NOFILE, (32, 32))
    with ExitStack() as connections:
        # Its process stays as a zombie: Docker waits for it only when the port is released.
        def look() -> object:
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=60)
            except ConnectionRefusedError:
                return None
            connections.enter_context(client)
            return "it accepts connections"

        Wait(60, 0.01).until(f"port {port} to refuse connections", look)


def wait_for_status(url: str, status: int) -> None:
    """Send requests until one is answered with a status."""

    def look() -> object:
        try:
            found = requests.get(url, timeout=5).status_code
        except requests.Timeout:
            # nginx used a kept connection to an app that was disconnected, and closes it now.
            return "no answer"
        return None if found == status else found

    Wait(60).until(f"{url} to answer {status}", look)


def wait_until_ejected(stack: Deployment, expected: dict[str, str]) -> None:
    """Wait until `status` names these servers as ejected, each for its reason."""

    def look() -> object:
        servers = status.look(stack.project, stack.name).ejected
        found = {server.partition(":")[0]: reason for server, reason in servers.items()}
        return None if found == expected else found

    Wait(120).until(f"{expected} to be ejected", look)


@dataclass(frozen=True)
class Strangers:
    """Containers that are not in the state: orphans of a stack, and some of others."""

    orphans: tuple[Container, ...]
    of_others: tuple[Container, ...]


@contextmanager
def strangers(stack: Deployment, image: str) -> Iterator[Strangers]:
    """Start orphans with all labels and without that of an app, and containers of others."""
    stack_of_name = names.labels("loadbalancer", stack.name)
    copied = dict(next(iter(stack.containers().values())).labels)
    ours = {key: value for key, value in copied.items() if key != names.APP}
    elsewhere = {**stack_of_name, names.NETWORK: f"loadbalancer-elsewhere-{uuid.uuid4().hex[:7]}"}
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
    """Return the present statuses of containers, without those that are gone."""
    # Other tests remove their containers while these are listed.
    every = engine.connect().containers.list(all=True, ignore_removed=True)
    now = {one.id: one.status for one in every}
    return [now[one.id] for one in containers if one.id in now]


@pytest.mark.faults
def test_orphans_and_changed_limits_are_shown_and_repaired(
    stack: Deployment, base_images: dict[str, str]
) -> None:
    before, (name,) = stack.ids(), stack.output("containers")["apps"]["app1"]
    with strangers(stack, base_images["python"]) as those:
        stack.containers()[name].update(mem_limit="100m", memswap_limit="100m")
        assert differences(stack) == {
            f"container {name}": "memory 100 MiB instead of 256 MiB",
            **{f"container {one.name}": ORPHAN for one in those.orphans},
        }
        assert f"setting {name} back: memory" in repair(stack)
        assert statuses(those.orphans) == []
        assert statuses(those.of_others) == ["running", "created", "running"]
    assert stack.ids() == before
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_manual_changes_are_shown_and_repaired(
    changing_stack: Deployment, base_images: dict[str, str]
) -> None:
    stack, client = changing_stack, engine.connect()
    stack.set("drain", 1)
    stack.set_all({"apps.app1.replicas": 4, "apps.app2.replicas": 2})
    stack.up()
    assert differences(stack) == {}
    state, before = stack.checkpoint(), stack.ids()
    containers, output = stack.containers(), stack.output("containers")
    removed, stopped, paused, unhealthy = output["apps"]["app1"]
    alone, right = output["apps"]["app2"]
    network = containers[right].labels[names.NETWORK]
    (tag,) = client.images.get(containers[stopped].attrs["Image"]).tags

    with strangers(stack, base_images["python"]) as those:
        make_unhealthy(containers[unhealthy])
        containers[removed].remove(force=True)
        containers[stopped].stop(timeout=1)
        containers[paused].pause()
        client.networks.get(network).disconnect(containers[alone])
        client.images.remove(tag, force=True)
        route = LiveRoute(stack.nginx()).text()
        edit_by_hand(stack, route.replace("weight=4", "weight=1"))
        edit = ["sed", "-i", "s/75s/76s/", f"{CURRENT}/nginx.conf"]
        assert exec.run(stack.nginx(), edit, user="0") == (0, "")

        hang, gone = "check", "connect_failed"
        ejected = {removed: gone, stopped: gone, alone: gone, paused: hang, unhealthy: hang}
        wait_until_ejected(stack, ejected)
        found = differences(stack)
        shares = {name: found.pop(name) for name in list(found) if name.startswith("share of")}
        assert re.fullmatch(
            r"hand-edited; additional line: server .* weight=1 .*;", found.pop("route")
        )
        assert found == {
            f"container {removed}": "not found",
            f"container {stopped}": "stopped",
            f"container {paused}": "paused",
            f"container {unhealthy}": "unhealthy",
            f"container {alone}": f"not connected to network {network}",
            f"image {tag}": "not found",
            "nginx file nginx.conf": "hand-edited",
            **{f"container {one.name}": ORPHAN for one in those.orphans},
        }
        assert shares["share of app1"] == "85.71 % instead of 60 %"
        assert shares["share of app2"] == "14.29 % instead of 40 %"
        assert len(shares) == 2 + 6
        # `status` changes nothing, neither in the state nor on the engine.
        assert stack.checkpoint() == state
        assert statuses(those.orphans) == ["running", "running"]
        assert statuses(containers.values()).count("running") == 7 - 3

        # The image is still there, so it is not built again.
        assert f"tagging image {tag} again" in repair(stack)
        assert statuses(those.orphans) == []
        assert statuses(those.of_others) == ["running", "created", "running"]

    after, kept = stack.ids(), (output["nginx"], stopped, paused, alone, right)
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert len(set(after.values()) - set(before.values())) == 2
    assert statuses([containers[unhealthy], containers[removed]]) == []

    # And what only Pulumi can restore: nginx itself, with the route in it.
    stack.nginx().remove(force=True)
    found = differences(stack)
    assert found[f"container {output['nginx']}"] == "not found"
    assert found["share of app1"] == "not in the route"
    repair(stack)
    stack.expect_no_changes()
    assert len(stack.ids().items() & after.items()) == 6
    assert stack.shares(20) == {"app1": 12, "app2": 8}


def test_a_container_of_others_under_a_name_of_the_stack_leaves_by_the_printed_command(
    stack: Deployment, base_images: Mapping[str, str]
) -> None:
    nginx, client = stack.nginx(), engine.connect()
    network = nginx.labels[names.NETWORK]
    # The images of the stack have its labels, which would make an orphan of the container.
    with running(base_images["nginx"], {}) as theirs:
        # The name of nginx, by which nobody in the network asks for it.
        client.networks.get(network).connect(theirs, aliases=[str(nginx.name)])
        command_ = f"docker network disconnect {network} {theirs.name}"
        said = f"gets requests for {nginx.name} and is not repaired: {command_}"
        assert differences(stack) == {f"container {theirs.name}": said}
        subprocess.run(command_.split(), check=True)
        assert differences(stack) == {}


@pytest.mark.faults
def test_what_docker_changes_on_running_containers_is_repaired_in_place(
    changing_stack: Deployment,
) -> None:
    stack, client = changing_stack, engine.connect()
    direct, *_ = free_ports(1)
    stack.set_all({"drain": 1, "apps.app1.directPort": direct})
    stack.up()
    assert differences(stack) == {}
    before, output = stack.ids(), stack.output("containers")
    (with_port,), (plain,) = output["apps"]["app1"], output["apps"]["app2"]
    container, admin = stack.containers()[plain], stack.output("adminUrl")
    network = container.labels[names.NETWORK]

    renamed = f"by-hand-{uuid.uuid4().hex[:8]}"
    container.rename(renamed)
    container.update(mem_limit="100m", memswap_limit="100m", restart_policy=NO_RESTARTS)
    client.networks.get(network).disconnect(before[with_port])
    client.networks.get(network).connect(before[with_port])
    exhaust_port_proxy(urlsplit(admin).port or 0)
    # The route finds app1 by its alias and app2 by its container's name, so that nginx has no app.
    wait_for_status(stack.url, 503)
    assert differences(stack) == {
        f"container {with_port}": f"no alias app1 in network {network}",
        f"container {plain}": (
            f"renamed to {renamed}, memory 100 MiB instead of 256 MiB, "
            "restart policy no instead of unless-stopped"
        ),
        f"address {stack.url}": "answers 503",
        f"address {admin}": "refuses connections",
    }

    printed = repair(stack)
    assert f"renaming {renamed} back to {plain}\n" in printed
    assert f"connecting {with_port} to network {network}\n" in printed
    assert f"reconnecting {output['nginx']}, since {admin} does not answer\n" in printed
    assert "restarting" not in printed
    assert stack.ids() == before
    stack.expect_no_changes()
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
def test_a_dead_public_port_is_shown_and_repaired_in_place(changing_stack: Deployment) -> None:
    stack = changing_stack
    before = stack.ids()
    exhaust_port_proxy(urlsplit(stack.url).port or 0)
    assert differences(stack) == {f"address {stack.url}": "refuses connections"}
    nginx = stack.output("containers")["nginx"]
    assert f"reconnecting {nginx}, since {stack.url} does not answer\n" in repair(stack)
    assert stack.ids() == before
    assert differences(stack) == {}
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.fixture
def empty_stack(module_stack: Deployment) -> Deployment:
    """A stack that was created, and never brought up."""
    return module_stack


def test_a_stack_that_was_never_up_has_no_drift(empty_stack: Deployment) -> None:
    assert differences(empty_stack) == {}


def test_status_does_not_select_the_stack_it_looks_at(empty_stack: Deployment) -> None:
    empty_stack.pulumi_cli.run("stack", "init", "selected")
    code, output = command(empty_stack, "status")
    assert code == 0, output
    assert empty_stack.project.selected() == "selected"


@pytest.mark.parametrize(
    ("stack", "engine_at", "message"),
    [
        ("nobody", None, "no stack named 'nobody' found. Create it: ./lb up --stack nobody"),
        (None, "unix:///nowhere", "Docker engine at unix:///nowhere (DOCKER_HOST): "),
    ],
)
def test_without_a_stack_or_an_engine_there_is_an_error(
    empty_stack: Deployment,
    stack: str | None,
    engine_at: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if engine_at:
        monkeypatch.setitem(empty_stack.environment, "DOCKER_HOST", engine_at)
    code, output = command(empty_stack, "status", stack)
    assert code == 1
    assert output.startswith(f"error: {message}")
