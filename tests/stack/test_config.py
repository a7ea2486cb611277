"""Invalid configurations through the real engine: refused with every fault, nothing is changed.

What is valid, and the message of each fault, is tested in tests/unit/test_settings.py. Here the
values are set by `pulumi config`, and the messages come from `pulumi preview`.
"""

import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

from loadbalancer import engine
from loadbalancer.state import passphrase
from loadbalancer.state.pulumi import PulumiError
from tests import configfile
from tests.stack.deployment import NAME, PROJECT, Deployment

SET = [
    "weights.app1=1.5",
    "weights.app9=1",
    "apps.app1.replicas=true",
    "apps.app2.replica=2",
    "directPorts=app1=5001",
    'limits={"memory":1}',
    "adminPort=-1",
    "wieghts=app1=7",
    "rollout.canary=5%",
]
ENCRYPTED = "apps.app1.limits.cpus=1025"
REFUSED = [
    "weights.app1: 1.5 is not a whole number from 0 to 1000. "
    "Set it: pulumi config set --path weights.app1 6 --stack {stack}",
    "weights.app9: 1 belongs to no app: there is no folder apps/app9",
    "apps.app1.replicas: true is not a whole number from 1 to 100. "
    "Set it: pulumi config set --path apps.app1.replicas 1 --stack {stack}",
    "is not a number of processors from 0.01 to 1024",
    "apps.app2.replica: 2 is set, but there is no such key, did you mean replicas?",
    "directPorts: app1=5001 has been replaced by apps.<name>.directPort. "
    "Set it: pulumi config set --path apps.app1.directPort 5001 --stack {stack} && "
    "pulumi config rm directPorts --stack {stack}",
    "limits.memory: 1 is not a whole number from 32 to 1048576",
    "adminPort: -1 is not a whole number from 0 to 65535",
    "wieghts: app1=7 is set, but there is no such key, did you mean weights?",
    "rollout.canary: 5% is not a percentage and a time, such as 10%/60s",
]


def refused(stack: Deployment) -> str:
    """Run a preview that must fail; returns what Pulumi prints."""
    with pytest.raises(PulumiError) as caught:
        stack.preview()
    text = str(caught.value)
    assert f"invalid configuration for stack {stack.name}:" in text
    assert "Traceback" not in text
    return text


def test_every_fault_is_shown_and_the_stack_serves_on(stack: Deployment) -> None:
    before = stack.ids()
    with stack.configured():
        plain = [part for value in SET for part in ("--plaintext", value)]
        stack.run("config", "set-all", "--path", *plain, "--secret", ENCRYPTED)
        text = refused(stack)
    expected = [message.replace("{stack}", stack.name) for message in REFUSED]
    assert [message for message in expected if message not in text] == []
    assert "1025" not in text  # a secret
    assert stack.ids() == before
    assert stack.shares(10) == {"app1": 6, "app2": 4}


@pytest.mark.faults
def test_valid_values_in_every_form(stack: Deployment) -> None:
    with stack.configured():
        stack.run("config", "set", "weights", '{"app1":6,"app2":4}')
        stack.run("config", "set", "--path", "apps.app1.replicas", "1")
        stack.run("config", "set", "--path", "--secret", "apps.app1.limits.memory", "256")
        stack.run("config", "set", "limits", "memory=256,cpus=1")
        stack.expect_no_changes()


COMMANDS = (
    "pulumi config set --path weights.app1 7",
    "pulumi config set --path 'weights[\"my.app\"]' 1",
    "pulumi config rm --path 'weights[\"my.app\"]'",
    "pulumi config set weights app1=7,app2=3",
    "pulumi config set --path weights.app3 5",  # in place of the list
    "pulumi config set --path apps.app1 '{\"replicas\":2}'",
    "pulumi config set --path apps.app1.replicas 2",  # refused: app1 is a text
    "pulumi config set --path apps.app2.limits.memory 64",
    "pulumi config set --path rollout.atOnce true",
    "pulumi config set limits memory=64,cpus=2",
    "pulumi config set weights.app1 3",
    "pulumi config rm weights.app1",
    "pulumi config rm --path weights.app1",
    "pulumi config set 'we ird' 1",
    "pulumi config rm 'we ird'",
    "pulumi config rm nothing",
)


def test_commands_change_the_file_as_the_model_of_the_unit_tests_has_it(
    tmp_path: Path, base_images: dict[str, str]
) -> None:
    stack = Deployment.create(tmp_path, base_images)
    stack.unset("port", "adminPort", "settle")  # whole numbers, which Pulumi turns into texts
    modelled = {key.removeprefix(f"{NAME}:"): value for key, value in stack.config().items()}
    for command in COMMANDS:
        refused = [False, False]
        try:
            stack.run(*shlex.split(command)[1:])
        except PulumiError:
            refused[0] = True
        try:
            configfile.apply(command, modelled)
        except configfile.ConfigCommandError:
            refused[1] = True
        assert len(set(refused)) == 1, command
        found = {key.removeprefix(f"{NAME}:"): value for key, value in stack.config().items()}
        assert found == modelled, command
    stack.run("stack", "rm", "--yes")


def test_creating_a_stack_changes_nothing_in_its_committed_file_but_the_salt(
    tmp_path: Path, base_images: dict[str, str]
) -> None:
    stack = Deployment.create(tmp_path, base_images)
    committed = (PROJECT / "Pulumi.staging.yaml").read_text()
    file = stack.folder / f"Pulumi.{stack.name}-2.yaml"
    file.write_text(committed)
    stack.pulumi_cli.run("stack", "init", f"{stack.name}-2", "--no-select")
    assert passphrase.drop_unused_salt(stack.project, f"{stack.name}-2")
    assert file.read_text() == committed
    for name in (stack.name, f"{stack.name}-2"):
        stack.pulumi_cli.run("stack", "rm", "--yes", stack=name)


def test_no_app_at_all(stack: Deployment) -> None:
    apps = stack.folder / "apps"
    apps.rename(stack.folder / "moved")
    try:
        text = refused(stack)
    finally:
        (stack.folder / "moved").rename(apps)
    assert "weights: {} has no app: no folder under apps/ can be built" in text


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that this program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def container(base_images: dict[str, str]) -> Iterator[Container]:
    """A container that publishes a port and is no part of a stack."""
    found = engine.connect().containers.run(
        base_images["nginx"],
        ["sleep", "infinity"],
        detach=True,
        ports={"8080/tcp": ("127.0.0.1", 0)},
    )
    try:
        found.reload()
        yield found
    finally:
        found.remove(force=True)


def test_ports_that_are_in_use(stack: Deployment, listening: int, container: Container) -> None:
    (binding,) = container.ports["8080/tcp"] or []
    published = int(binding["HostPort"])
    with stack.configured():
        stack.set_all({"port": listening, "apps.app1.directPort": published})
        text = refused(stack)
    assert f"port: {listening} is in use on this host by another program" in text
    assert f"pulumi config set port {listening + 1}" in text
    key = "apps.app1.directPort"
    assert f"{key}: {published} is in use on this host by container {container.name}" in text
