"""The server that tests share, servers of a test's own, and a server behind nginx."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from loadbalancer.nginx.upstream import Server as Upstream
from loadbalancer.nginx.upstream import render
from tests.apps import containers
from tests.apps.conformance.nginx import nginx, nginx_image
from tests.apps.conformance.servers import HERE, Notes, Process, Proxied, Server
from tests.apps.conformance.wire import Wire
from tests.apps.conftest import Build

Start = Callable[..., Process]


@pytest.fixture(scope="session")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A process of the server, for tests that leave it as it is."""
    server = Process(tmp_path_factory.mktemp("server"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def proxied(
    client: docker.DockerClient, build: Build, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    """A container with the same app, behind nginx with the files of this project."""
    folder = tmp_path_factory.mktemp("apps") / "apps"
    shutil.copytree(containers.APPS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "conformance").mkdir()
    shutil.copy(HERE / "app.py", folder / "conformance")
    (folder / "conformance" / "requirements.txt").touch()
    image = build("conformance", folder)
    notes = Notes(tmp_path_factory.mktemp("notes"))
    with (
        nginx_image(client) as proxy_image,
        containers.network(client) as network,
        containers.created(
            client,
            image,
            environment={"NOTES": "/notes"},
            volumes={str(notes.folder): {"bind": "/notes", "mode": "rw"}},
            network=network,
            # The name server does not know names that Docker makes up.
            name=f"{network}-app1",
        ) as app,
    ):
        app.wait_until_healthy()
        route = render([Upstream("app1", str(app.container.name), app.port, 1)], {"app1": 1})
        with nginx(client, proxy_image, network, route) as address:
            yield Proxied(address, notes, app)


@pytest.fixture(scope="session", params=["direct", "proxied"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of both in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process with an environment; it ends when the test ends."""
    with ExitStack() as cleanup:
        count = 0

        def start(*, unread: bool = False, **environment: object) -> Process:
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            folder.mkdir()
            server = Process(folder, environment, unread=unread)
            cleanup.callback(server.stop)
            return server

        yield start


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A connection to the server."""
    with Wire(server.address) as wire:
        yield wire


@pytest.fixture
def direct_wire(direct: Process) -> Iterator[Wire]:
    """A connection to the server that is no proxy's."""
    with Wire(direct.address) as wire:
        yield wire
