"""Bad config through the real engine: refused with its message, and nothing is touched."""

import socket
import subprocess

import pytest

from loadbalancer import engine
from tests.stack.deployment import Deployment


def preview(stack: Deployment) -> str:
    """Run a preview that must fail; returns what Pulumi shows."""
    process = stack.process(
        *stack.pulumi("preview"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    shown, _ = process.communicate(timeout=500)
    assert process.returncode
    assert "Traceback" not in shown
    return shown


REFUSED = [
    ("weights.app9", "1", "weights.app9: 1 belongs to no app"),
    ("weights.app1", "-3", "weights.app1: -3 is not a whole number from 0 to 1000"),
    ("weights.app1", "1.5", "weights.app1: 1.5 is not a whole number from 0 to 1000"),
    ("weights.app1", "true", "weights.app1: true is not a whole number from 0 to 1000"),
    ("weights.app1", "1001", "weights.app1: 1001 is not a whole number from 0 to 1000"),
    ("weights.My_App", "1", "weights.My_App: 1 belongs to a name that is not a DNS label"),
    ("weights", "app1=0,app2=0", "are all 0, so that no app could answer"),
    ("port", "65536", "port: 65536 is not a whole number from 0 to 65535"),
    ("directPorts", "app1=5001,app2=5001", "directPorts.app2: 5001 is given to"),
]


@pytest.mark.timeout(3600)
def test_a_bad_value_is_refused_and_the_stack_serves_on(stack: Deployment) -> None:
    before = stack.ids()
    for path, value, expected in REFUSED:
        key = path.partition(".")[0]
        kept = stack.get(key)
        stack.set(path, value)
        try:
            shown = preview(stack)
        finally:
            stack.unset(key)
            if kept:
                stack.set(key, kept)
        assert expected in shown
        assert "pulumi config " in shown
    assert stack.ids() == before
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_no_app_at_all(stack: Deployment) -> None:
    apps = stack.folder / "apps"
    apps.rename(stack.folder / "gone")
    try:
        shown = preview(stack)
    finally:
        (stack.folder / "gone").rename(apps)
    assert "name no app: no folder under apps/ can be built" in shown


def test_every_fault_is_shown_at_once(stack: Deployment) -> None:
    stack.set("weights.app1", "-3")
    stack.set("weights.app9", "1")
    stack.set("drain", "0")
    try:
        shown = preview(stack)
    finally:
        stack.unset("weights")
        stack.unset("drain")
    for key in ("weights.app1: -3", "weights.app9: 1", "drain: 0"):
        assert key in shown


def test_a_port_that_another_program_holds(stack: Deployment) -> None:
    own_port = stack.get("port")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        stack.set("port", port)
        try:
            shown = preview(stack)
        finally:
            stack.set("port", own_port)
    assert f"port: {port} is taken on this host by another program" in shown
    assert f"pulumi config set port {port + 1}" in shown


def test_a_port_that_another_container_holds(
    stack: Deployment, base_images: dict[str, str], request: pytest.FixtureRequest
) -> None:
    other = engine.connect().containers.run(
        base_images["nginx"],
        ["sleep", "infinity"],
        detach=True,
        ports={"8080/tcp": ("127.0.0.1", 0)},
    )
    request.addfinalizer(lambda: other.remove(force=True))
    other.reload()
    bindings = other.ports["8080/tcp"]
    assert bindings
    port = bindings[0]["HostPort"]
    stack.set("directPorts.app1", port)
    try:
        shown = preview(stack)
    finally:
        stack.unset("directPorts")
    assert f"directPorts.app1: {port} is taken on this host by container {other.name}" in shown
