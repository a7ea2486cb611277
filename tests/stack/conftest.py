"""Real stacks for tests: shared by the session or a module, or one of a test's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadbalancer import engine
from tests.apps.containers import build, remove_image
from tests.stack.deployment import PROJECT, Deployment
from toolchain import baseimages
from toolchain import engine as docker_engine
from toolchain.recipes import RECIPES


@dataclass(frozen=True)
class Shared:
    """A stack that several tests use, and the config with which each of them finds it."""

    deployment: Deployment
    config: dict[str, Any]

    @classmethod
    @contextmanager
    def create(cls, folder: Path, base_images: Mapping[str, str]) -> Iterator["Shared"]:
        """Create a stack, not up yet; at its end a preview is clean, and `destroy` leaves nothing.

        What has failed in between is not judged again.
        """
        with Deployment.temporary(folder, base_images) as deployment:
            yield cls(deployment, deployment.config())
            if deployment.applied == deployment.source():
                deployment.expect_no_changes()
                deployment.destroy()
                assert deployment.leftovers() == []

    def reset(self) -> Deployment:
        """Set back the config and the files that tests edit, without an update."""
        self.deployment.cancel()
        self.deployment.replace_config(self.config)
        self.deployment.restore_files()
        return self.deployment

    def reset_up(self) -> Deployment:
        """Set back the config and the files, with an update where the last one was of others."""
        if self.reset().applied != self.deployment.source():
            self.deployment.up()
        return self.deployment


def find_base_images() -> dict[str, str]:
    """Name the base images that this machine has, as `make up` finds them."""
    with docker_engine.connection() as client:
        images = {recipe.key: baseimages.look(client, recipe) for recipe in RECIPES}
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
    """The stack of `stack` and `stack_of_any_weights`."""
    with Shared.create(tmp_path_factory.mktemp("shared"), base_images) as shared:
        yield shared


@pytest.fixture
def stack(session_stack: Shared) -> Deployment:
    """A stack that is up with its defaults, shared by tests that change its weights at most.

    Where the test before has set others, they are set back here: a test that sets its own weights
    takes `stack_of_any_weights` and saves that update.
    """
    return session_stack.reset_up()


@pytest.fixture
def stack_of_any_weights(session_stack: Shared) -> Deployment:
    """The stack of `stack` as the test before has left it."""
    if session_stack.deployment.applied is None:
        session_stack.reset_up()
    return session_stack.deployment


@pytest.fixture(scope="session")
def session_changing_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Shared]:
    """The stack of `changing_stack`."""
    with Shared.create(tmp_path_factory.mktemp("changing"), base_images) as shared:
        yield shared


@pytest.fixture
def changing_stack(session_changing_stack: Shared) -> Deployment:
    """A stack for tests that change which containers there are, by its config or its files.

    Config and files are the defaults again; what is up is what the test before has left, or
    nothing. So a test sets what it needs and brings it up.
    """
    return session_changing_stack.reset()


@pytest.fixture(scope="module")
def module_stack(
    tmp_path_factory: pytest.TempPathFactory, base_images: dict[str, str]
) -> Iterator[Deployment]:
    """A stack of the module's own, not up yet."""
    with Shared.create(tmp_path_factory.mktemp("module"), base_images) as shared:
        yield shared.deployment


@pytest.fixture
def own_stack(tmp_path: Path, base_images: dict[str, str]) -> Iterator[Deployment]:
    """A stack of the test's own, not up yet."""
    with Deployment.temporary(tmp_path, base_images) as deployment:
        yield deployment
        deployment.expect_no_changes()
