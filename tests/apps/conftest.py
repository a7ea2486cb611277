"""Images built once, containers of a test's own; all removed afterwards."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.apps import containers, upstream
from tests.apps.containers import APPS, NGINX, App
from tests.apps.proxy import Proxy, running
from tests.apps.upstream import Upstream

Run = Callable[..., App]
Build = Callable[..., str]

# An app that can be made to wait, as an app developer would write it: one file. It notes each
# request that has reached it, and answers some only when it is let go.
SLOW_APP = """
import os
import time

from flask import Flask, Response, request

app = Flask(__name__)


@app.before_request
def asked():
    if request.path != "/healthz":
        with open("/tmp/asked", "a") as file:
            file.write(request.path + "\\n")


def wait_until_let_go():
    while not os.path.exists("/tmp/let-go"):
        time.sleep(0.02)


@app.get("/")
def greeting():
    return "third"


@app.get("/wait/<float:seconds>")
def wait(seconds):
    time.sleep(seconds)
    wait_until_let_go()
    return "waited"


@app.get("/stream/<int:pieces>")
def stream(pieces):
    def produce():
        for number in range(pieces):
            yield f"{number}\\n"
            if number == pieces // 2:
                wait_until_let_go()

    return Response(produce(), mimetype="text/plain")


@app.post("/length")
def length():
    return str(len(request.get_data()))


@app.get("/fails")
def fails():
    raise RuntimeError("on purpose")
"""


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The engine; tests that need one fail without it."""
    client = docker.from_env(timeout=containers.SILENCE)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def python_image(client: docker.DockerClient) -> str:
    """The base image's name."""
    return containers.python_image(client)


@pytest.fixture(scope="session")
def build(client: docker.DockerClient, python_image: str) -> Iterator[Build]:
    """Build an app with the shared form; the image is removed at the end."""
    with ExitStack() as cleanup:

        def build(app: str, folder: Path = APPS, **options: Any) -> str:
            arguments = {"APP": app, "PYTHON_IMAGE": python_image}
            name = containers.build(client, folder, arguments, **options)
            cleanup.callback(containers.remove_image, client, name)
            return name

        yield build


@pytest.fixture(scope="session")
def image(build: Build) -> str:
    """The image of app1."""
    return build("app1")


@pytest.fixture(scope="session")
def apps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared form, with an app of one file and its requirements beside it."""
    folder = tmp_path_factory.mktemp("apps") / "apps"
    shutil.copytree(APPS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    app = folder / "app3"
    app.mkdir()
    (app / "app.py").write_text(SLOW_APP)
    shutil.copy(APPS / "app1" / "requirements.txt", app)
    return folder


@pytest.fixture(scope="session")
def slow_image(build: Build, apps_folder: Path) -> str:
    """The image of the app that can be made to wait."""
    return build("app3", apps_folder)


@pytest.fixture
def start(client: docker.DockerClient) -> Iterator[Run]:
    """Start a container of an image; it is removed when the test ends."""
    with ExitStack() as cleanup:

        def start(image: str, *, healthy: bool = True, **arguments: Any) -> App:
            app = cleanup.enter_context(containers.created(client, image, **arguments))
            if healthy:
                app.wait_until_healthy()
            return app

        yield start


@pytest.fixture
def app(start: Run, image: str) -> App:
    """A healthy container of app1."""
    return start(image)


@pytest.fixture
def slow(start: Run, slow_image: str) -> App:
    """A healthy container of the app that can be made to wait."""
    return start(slow_image)


@pytest.fixture(scope="session")
def nginx_image(client: docker.DockerClient) -> Iterator[str]:
    """nginx's image, built on the base image that this machine has."""
    name = containers.build(client, NGINX, {"NGINX_IMAGE": containers.nginx_image(client)})
    yield name
    containers.remove_image(client, name)


@pytest.fixture(scope="session")
def stubs(client: docker.DockerClient, python_image: str) -> Iterator[Upstream]:
    """A stub of each of two apps."""
    with upstream.stubs(client, python_image, {"app1": 1, "app2": 1}) as found:
        yield found


@pytest.fixture(scope="session")
def session_proxy(
    client: docker.DockerClient, nginx_image: str, stubs: Upstream
) -> Iterator[Proxy]:
    """The nginx of `proxy`."""
    with running(client, nginx_image, stubs) as one:
        yield one


@pytest.fixture
def proxy(session_proxy: Proxy) -> Proxy:
    """An nginx with the default settings in front of a stub of each app."""
    session_proxy.configure()
    session_proxy.wait_until_up()
    return session_proxy
