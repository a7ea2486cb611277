"""The names of base images in the config of a real stack."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolchain import pulumi, stackconfig
from toolchain.baseimages import Image
from toolchain.recipes import NGINX, PYTHON
from toolchain.steps import ToolchainError

PROJECT = """name: loadbalancer
runtime: yaml
config:
  baseImages:
    default: {python: "python:3.14-slim", nginx: "nginx:1.30"}
"""
MADE = [Image(PYTHON, PYTHON.own_name("aaaaaaaa")), Image(NGINX, NGINX.own_name("bbbbbbbb"))]
OFFICIAL = [Image(PYTHON, PYTHON.official), Image(NGINX, NGINX.official)]


class Stack:
    """A stack without resources, in a project and a backend of its own."""

    def __init__(self, folder: Path, cli: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PATH": f"{cli.parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def pulumi(self, *arguments: str) -> None:
        command = ["pulumi", "--non-interactive", *arguments, "--stack", "dev"]
        subprocess.run(command, cwd=self.folder, env=self.env, check=True, capture_output=True)

    def write(self, images: Sequence[Image]) -> list[str]:
        return stackconfig.write("dev", self.folder, self.env, images)

    @property
    def images(self) -> dict[str, str]:
        return stackconfig.read("dev", self.folder, self.env)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    found = pulumi.find()
    if found is None:
        pytest.skip("Pulumi is not installed")
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    made = Stack(tmp_path, found[0])
    made.pulumi("stack", "init")
    return made


def test_made_images_are_named_and_go_again(stack: Stack) -> None:
    assert len(stack.write(MADE)) == len(MADE)
    assert stack.images == {"python": MADE[0].name, "nginx": MADE[1].name}
    assert stack.write(MADE) == []
    assert len(stack.write(OFFICIAL)) == len(OFFICIAL)
    assert not any(image.name in str(stack.images) for image in MADE)


def test_a_name_of_the_users_own_stays_beside_ours(stack: Stack) -> None:
    stack.pulumi("config", "set", "--path", "baseImages.python", "registry.example/python:1")
    assert len(stack.write(MADE)) == 1
    assert stack.images == {"python": "registry.example/python:1", "nginx": MADE[1].name}


def test_a_stack_that_is_not_there_is_named(stack: Stack) -> None:
    with pytest.raises(ToolchainError, match="pulumi stack init other"):
        stackconfig.write("other", stack.folder, stack.env, MADE)
