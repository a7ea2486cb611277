"""The Docker plugin under the real CLI: against the SDK from PyPI, and a Docker engine."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_docker
import pytest
from pulumi._types import input_type_py_to_pulumi_names

from tests.toolchain.pulumiproject import (
    BIN,
    PATIENCE,
    Project,
    running,
    still_alive,
    wait_until,
)
from toolchain.versions import DOCKER_PLUGIN_VERSION

PLUGIN = (
    BIN.parent / "plugins" / f"resource-docker-v{DOCKER_PLUGIN_VERSION}" / "pulumi-resource-docker"
)

BY_HAND = {"docker:index/image:Image"}
"""What the vendor adds to the bridged provider; this project does not need it."""

Schema = dict[str, dict[str, dict[str, dict[str, object]]]]

# A program in one static file that every machine with these tests has: the language host. It
# runs until it is stopped.
STAY = "pulumi-language-python"

PROGRAM = """
import pulumi, pulumi_docker as docker
config = pulumi.Config()
network = docker.Network("net", labels=[{"label": "test", "value": "yes"}])
volume = docker.Volume("data")
image = docker.RemoteImage(
    "image", name=config.require("image"), build={"context": "context"}, force_remove=True
)
container = docker.Container(
    "stays",
    image=image.image_id,
    command=["/stay"],
    envs=[f"TEST={config.get('value') or 'first'}"],
    labels=[{"label": "test", "value": "yes"}],
    read_only=True,
    capabilities={"drops": ["ALL"]},
    security_opts=["no-new-privileges:true"],
    memory=64,
    memory_swap=64,
    tmpfs={"/tmp": "size=1m"},
    ports=[{"internal": 80, "ip": "127.0.0.1"}],
    volumes=[{"volume_name": volume.name, "container_path": "/data"}],
    networks_advanced=[{"name": network.name, "aliases": ["stays"]}],
    opts=pulumi.ResourceOptions(delete_before_replace=False),
)
found = docker.get_network_output(name=network.name)
pulumi.export("id", container.id)
pulumi.export("name", container.name)
pulumi.export("driver", found.driver)
"""


@pytest.fixture
def project(tmp_path: Path, new_stack: Path) -> Iterator[Project]:
    made = Project(tmp_path / "project", new_stack)
    try:
        yield made
    finally:
        made.run("cancel", "--yes")
        made.destroy()


@pytest.fixture(scope="module")
def schema() -> Schema:
    """The plugin's own description of itself."""
    done = subprocess.run(
        [BIN / "pulumi", "package", "get-schema", PLUGIN], capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_version() -> None:
    done = subprocess.run([PLUGIN, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == DOCKER_PLUGIN_VERSION


def test_schema_has_the_resources_of_the_sdk(schema: Schema) -> None:
    of_sdk = {
        name
        for name, member in vars(pulumi_docker).items()
        if isinstance(member, type)
        and issubclass(member, pulumi_docker.Container.__mro__[1])
        and name != "Provider"
    }
    tokens = {f"docker:index/{name[0].lower()}{name[1:]}:{name}" for name in of_sdk}
    missing = tokens - set(schema["resources"])
    assert missing == BY_HAND
    assert set(schema["resources"]) <= tokens


def test_schema_has_the_names_of_the_sdk(schema: Schema) -> None:
    inputs = {token: resource["inputProperties"] for token, resource in schema["resources"].items()}
    nested = {token: kind["properties"] for token, kind in schema["types"].items()}
    compared = 0
    for token, properties in (inputs | nested).items():
        arguments = getattr(pulumi_docker, f"{token.rpartition(':')[2]}Args", None)
        if arguments is not None:
            names = set(input_type_py_to_pulumi_names(arguments).values())
            assert set(properties) == names, token
            compared += 1
    assert compared > 50


def inspect(container: str) -> dict[str, Any]:
    done = subprocess.run(
        ["docker", "container", "inspect", container], capture_output=True, check=True
    )
    (found,) = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def exists(kind: str, name: str) -> bool:
    done = subprocess.run(
        ["docker", kind, "inspect", name], capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def test_image_network_volume_and_container(project: Project) -> None:
    context = project.folder / "context"
    context.mkdir()
    shutil.copy2(BIN / STAY, context / "stay")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY stay /stay\n")
    project.write(PROGRAM)
    image = f"loadbalancer-test:{os.getpid()}"
    project.succeed("config", "set", "image", image)

    project.up()
    outputs = json.loads(project.succeed("stack", "output", "--json"))
    assert outputs["driver"] == "bridge"
    first = inspect(outputs["id"])
    assert first["Config"]["Env"][0] == "TEST=first"
    assert first["HostConfig"]["CapDrop"] == ["ALL"]
    assert first["HostConfig"]["ReadonlyRootfs"] is True

    project.succeed("preview", "--expect-no-changes")
    project.succeed("refresh", "--yes", "--expect-no-changes")

    project.succeed("config", "set", "value", "second")
    project.up()
    replaced = json.loads(project.succeed("stack", "output", "--json"))
    assert replaced["id"] != outputs["id"]
    assert replaced["name"] != outputs["name"]
    assert not exists("container", outputs["id"])
    assert inspect(replaced["id"])["Config"]["Env"][0] == "TEST=second"

    project.destroy()
    assert not exists("container", replaced["id"])
    assert not exists("image", image)


def test_error_of_the_engine_is_shown(project: Project) -> None:
    project.write("import pulumi_docker as docker\ndocker.Network('n', driver='no-such-driver')\n")
    result = project.run("up", "--yes", "--skip-preview")
    assert result.code != 0
    assert "no-such-driver" in result.text
    assert "Traceback" not in result.text


def test_killed_cli_leaves_no_plugin(project: Project, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:  # one that accepts and never answers
        project.environment["DOCKER_HOST"] = f"tcp://127.0.0.1:{engine.getsockname()[1]}"
        project.write("import pulumi_docker as docker\ndocker.Network('n')\n")
        up = project.start("up", "--yes", "--skip-preview", log=tmp_path / "log")
        try:
            engine.settimeout(PATIENCE)
            connection, _ = engine.accept()
            below = running(up.pid)
        finally:
            up.kill()
            up.wait()
        with connection:
            assert any("pulumi-resource-docker" in command for command in below.values()), below
            assert wait_until(lambda: not still_alive(below)), still_alive(below)
    del project.environment["DOCKER_HOST"]
