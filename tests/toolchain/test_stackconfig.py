"""The names of base images in the config of a real stack."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolchain import pulumicli, stackconfig
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
    """A stack without resources, in a folder that is both its project and its backend."""

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


@pytest.fixture(scope="module")
def cli() -> Path:
    found = pulumicli.find()
    assert found is not None, "Pulumi is missing: python3 -m toolchain"
    return found[0]


@pytest.fixture(scope="module")
def initial(cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a new stack and its backend, to copy."""
    folder = tmp_path_factory.mktemp("initial")
    (folder / "Pulumi.yaml").write_text(PROJECT)
    Stack(folder, cli).pulumi("stack", "init", "--no-select")
    return folder


@pytest.fixture
def stack(initial: Path, cli: Path, tmp_path: Path) -> Stack:
    return Stack(shutil.copytree(initial, tmp_path / "project"), cli)


def test_made_images_are_set_and_removed_again(stack: Stack) -> None:
    assert len(stack.write(MADE)) == len(MADE)
    assert stack.images == {"python": MADE[0].name, "nginx": MADE[1].name}
    assert stack.write(MADE) == []
    assert len(stack.write(OFFICIAL)) == len(OFFICIAL)
    assert not any(image.name in str(stack.images) for image in MADE)


def test_a_name_that_the_user_has_set_stays(stack: Stack) -> None:
    stack.pulumi("config", "set", "--path", "baseImages.python", "registry.example/python:1")
    assert len(stack.write(MADE)) == 1
    assert stack.images == {"python": "registry.example/python:1", "nginx": MADE[1].name}


def test_a_missing_stack_is_an_error_that_names_it(stack: Stack) -> None:
    with pytest.raises(ToolchainError, match=r"\./lb up --stack other"):
        stackconfig.write("other", stack.folder, stack.env, MADE)
