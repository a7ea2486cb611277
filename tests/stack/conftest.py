"""Real stacks for tests: shared by the session or a module, or one of a test's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadbalancer import engine
from tests.apps.containers import build, remove_image
from tests.stack.deployment import PROJECT, Deployment
from toolchain import baseimages
from toolchain.dockerapi import Engine
from toolchain.recipes import RECIPES


@dataclass(frozen=True)
class Shared:
    """A stack that several tests use, and the config with which each of them finds it."""

    deployment: Deployment
    config: dict[str, Any]

    @classmethod
    def up(cls, deployment: Deployment) -> "Shared":
        """Bring a stack up, and note its config."""
        deployment.up()
        return cls(deployment, deployment.config())

    def reset(self) -> None:
        """Set the config back, with an update where the last one was of another."""
        self.deployment.replace_config(self.config)
        if self.deployment.applied != self.config:
            self.deployment.up()


def find_base_images() -> dict[str, str]:
    """Name the base images that this machine has, as `make up` finds them."""
    images = {recipe.key: baseimages.look(Engine(), recipe) for recipe in RECIPES}
    missing = [key for key, image in images.items() if image is None]
    assert not missing, f"no base image for {missing}: python3 -m toolchain"
    return {key: image.name for key, image in images.items() if image}


@pytest.fixture(scope="session")
def base_images() -> dict[str, str]:
    """Names of the base images that this machine has."""
    return find_base_images()


@pytest.fixture(scope="session", autouse=True)
def layers(base_images: dict[str, str]) -> Iterator[None]:
    """Images that keep the layers of the apps and of nginx for as long as tests run.

    Docker fails to build on a layer whose last image another worker's stack removes just then.
    """
    apps = {"PYTHON_IMAGE": base_images["python"]}
    recipes = [
        ("apps", {**apps, "APP": "app1"}),
        ("apps", {**apps, "APP": "app2"}),
        ("nginx", {"NGINX_IMAGE": base_images["nginx"]}),
    ]
    client = engine.connect()
    kept = [build(client, PROJECT / folder, given) for folder, given in recipes]
    yield
    for name in kept:
        remove_image(client, name)


@pytest.fixture(scope="session")
def session_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Shared]:
    """A stack that is up as long as the worker runs tests of stacks; its end is a clean preview."""
    with Deployment.temporary(tmp_path_factory.mktemp("shared"), base_images) as deployment:
        yield Shared.up(deployment)
        deployment.expect_no_changes()


@pytest.fixture(scope="module")
def module_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Deployment]:
    """A stack of the module's own, not up yet; its end is a clean preview."""
    with Deployment.temporary(tmp_path_factory.mktemp("module"), base_images) as deployment:
        yield deployment
        deployment.expect_no_changes()


@pytest.fixture
def stack(session_stack: Shared) -> Deployment:
    """The session's stack with the default weights, for tests that leave their config clean.

    Where the test before has set others, they are set back here: a test that sets its own weights
    takes `stack_of_any_weights` and saves that update.
    """
    session_stack.reset()
    return session_stack.deployment


@pytest.fixture
def stack_of_any_weights(session_stack: Shared) -> Deployment:
    """The session's stack with the weights that the test before has left."""
    return session_stack.deployment


@pytest.fixture
def own_stack(tmp_path: Path, base_images: dict[str, str]) -> Iterator[Deployment]:
    """A stack of the test's own, not up yet."""
    with Deployment.temporary(tmp_path, base_images) as deployment:
        yield deployment
        deployment.expect_no_changes()
