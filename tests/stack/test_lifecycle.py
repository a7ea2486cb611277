"""Up and down by the command line, again and again, until nothing is left."""

import shutil
import subprocess
import sys

import pytest
import requests

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from tests.stack.deployment import PROJECT, Deployment, free_ports

LONGEST = 1200
"""Seconds that a verb may take; `up` also looks for what the machine lacks."""


def lb(stack: Deployment, *verb: str) -> tuple[int, str, str]:
    """Run ./lb from a folder that is not the project's; returns exit code, output and errors."""
    process = stack.process(
        *(sys.executable, str(stack.folder / "lb"), *verb, "--stack", stack.name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    out, err = process.communicate(timeout=LONGEST)
    return process.returncode, out, err


def selected(stack: Deployment) -> str:
    """Ask Pulumi for the selected stack; empty where none is."""
    command = ["pulumi", "stack", "--show-name", "--non-interactive"]
    process = stack.process(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return process.communicate(timeout=LONGEST)[0].strip()


@pytest.fixture(scope="module")
def installable(module_stack: Deployment) -> Deployment:
    """The module's stack in a copy that also has what `./lb up` installs from."""
    folder = module_stack.folder
    shutil.copy2(PROJECT / "requirements.txt", folder)
    for part in ("cmd", "shim"):
        shutil.copytree(PROJECT / "toolchain" / part, folder / "toolchain" / part)
    return module_stack


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_down_leaves_nothing_and_up_works_again(installable: Deployment) -> None:
    stack = installable
    code, out, err = lb(stack, "up")
    assert code == 0, out + err
    assert f"Live: {stack.url}\n" in out
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert selected(stack) == stack.name
    first = stack.ids()
    for one in stack.containers().values():
        one.stop(timeout=1)
    code, out, err = lb(stack, "up")
    assert code == 0, out + err
    assert out.count(", which was stopped\n") == 3
    assert stack.ids() == first
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    code, out, err = lb(stack, "recreate")
    assert code == 0, out + err
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    assert not set(first.values()) & set(stack.ids().values())
    code, out, err = lb(stack, "down")
    assert code == 0, out + err
    assert stack.leftovers() == []
    code, out, _ = lb(stack, "status")
    assert code == 0
    assert f"./lb up --stack {stack.name}" in out


def test_a_new_stack_starts_with_the_config_in_its_file(installable: Deployment) -> None:
    stack, name = installable, f"{installable.name}-new"
    file = stack.folder / f"Pulumi.{name}.yaml"
    file.write_text("config: {loadbalancer:weights: '{\"app1\": -1}'}\n")
    command = [sys.executable, str(stack.folder / "lb"), "up", "--stack", name]
    process = stack.process(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = process.communicate(timeout=LONGEST)
    try:
        assert process.returncode == 1
        assert "weights.app1: -1 is not a whole number" in out
        assert "error: pulumi up failed; its message is above" in out
    finally:
        stack.pulumi_cli.run("stack", "rm", "--yes", stack=name)


@pytest.mark.faults
def test_ports_of_the_host_are_found_and_kept(module_stack: Deployment) -> None:
    stack, (two,) = module_stack, free_ports(1)
    stack.set_all({"port": 0, "apps.app1.directPort": 0, "apps.app2.directPort": two})
    stack.up()
    url, urls = stack.url, stack.output("directUrls")
    assert urls["app2"] == f"http://127.0.0.1:{two}"
    for app, direct in urls.items():
        answer = requests.get(direct, timeout=60).text
        assert answer == f"Salam alikom, this is {app.capitalize()} :) "
    assert stack.shares(10) == {"app1": 6, "app2": 4}
    before, dockerfile = stack.output("containers"), stack.folder / "nginx" / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}ENV VERSION=2\n")
    stack.up()
    assert stack.output("containers")["nginx"] != before["nginx"]
    assert stack.output("containers")["apps"] == before["apps"]
    assert (stack.url, stack.output("directUrls")) == (url, urls)
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_containers_have_no_more_rights_than_they_need(stack: Deployment) -> None:
    for container in stack.containers().values():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        _, user = exec.run(container, ["id", "-u"])
        assert int(user) > 0
        published = [port for port in container.ports.values() if port]
        assert bool(published) == (container.name == stack.nginx().name)


def test_a_request_id_is_passed_on_and_logged_by_nginx(stack: Deployment) -> None:
    answer = requests.get(stack.url, headers={"X-Request-ID": "of-a-test"}, timeout=60)
    assert answer.headers["X-Request-ID"] == "of-a-test"
    nginx = stack.nginx()

    def look() -> object:
        return None if b"of-a-test" in nginx.logs() else "not logged"

    Wait(120, 0.5).until("nginx, which logs after it has answered", look)
    made = requests.get(stack.url, timeout=60).headers["X-Request-ID"]
    assert len(made) == 32
