"""Real stacks for tests: one that many share, or one of a test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadbalancer import engine
from tests.apps.containers import build, remove_image
from tests.stack.deployment import PROJECT, Deployment
from toolchain import baseimages
from toolchain.dockerapi import Engine
from toolchain.recipes import RECIPES

NewStack = Callable[[], Deployment]


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
def shared_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Deployment]:
    """A stack at its defaults, up for the whole session, for tests that only look at it."""
    with Deployment.temporary(tmp_path_factory.mktemp("shared"), base_images) as deployment:
        deployment.up()
        yield deployment
        deployment.expect_no_changes()


@pytest.fixture
def stack(shared_stack: Deployment) -> Iterator[Deployment]:
    """The shared stack, for a test that changes it, and ends with a clean preview."""
    yield shared_stack
    shared_stack.expect_no_changes()
    config = shared_stack.stack.get_all_config()
    if "loadbalancer:weights" in config:
        shared_stack.stack.remove_config("weights")
        shared_stack.up()


@pytest.fixture
def own_stack(tmp_path: Path, base_images: dict[str, str]) -> Iterator[Deployment]:
    """A stack of the test's own, not up yet; removed with all that is left of it."""
    with Deployment.temporary(tmp_path, base_images) as deployment:
        yield deployment
        deployment.expect_no_changes()
