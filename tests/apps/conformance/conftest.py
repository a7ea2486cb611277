"""The server that tests share, servers of a test's own, and a server behind nginx."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from loadbalancer.config.host_ports import LISTENING_PORT
from tests.apps import containers
from tests.apps.conformance.servers import HERE, Notes, Process, Proxied, Server
from tests.apps.conformance.wire import Wire
from tests.apps.conftest import Build
from tests.apps.proxy import running
from tests.apps.upstream import Upstream

Start = Callable[..., Process]

LONG = pytest.mark.faults
QUICK = {
    "test_a_client_that_leaves_ends_the_stream",
    "test_a_get_may_have_a_body",
    "test_an_early_response_reaches_a_client_that_still_sends",
    "test_an_error_after_the_headers_cuts_the_body",
    "test_both_servers_have_their_app",
    "test_chunk_extensions_and_trailers_are_dropped",
    "test_content_type_and_length_are_not_http_variables",
    "test_continue_is_sent_to_a_client_that_waits_for_it",
    "test_events_are_sent_as_they_come",
    "test_http_1_0_keep_alive",
    "test_pipelined_requests_are_answered_in_order",
    "test_repeated_cookies_are_joined_as_cookies",
    "test_status_reason_and_headers_as_they_are",
    "test_the_raw_target_is_kept",
}
"""Tests that `make test` runs behind nginx as well; `make faults` runs the others there."""


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
    client: docker.DockerClient,
    build: Build,
    nginx_image: str,
    tmp_path_factory: pytest.TempPathFactory,
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
        with running(client, nginx_image, Upstream(network, {"app1": [app]})) as proxy:
            yield Proxied((proxy.address, LISTENING_PORT), notes, app)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of `server` with each of both; `make test` runs only some behind nginx."""
    if "server" in metafunc.fixturenames:
        together = pytest.mark.xdist_group("conformance")
        quick = metafunc.function.__name__ in QUICK
        both = {"direct": [together], "proxied": [together, *([] if quick else [LONG])]}
        params = [pytest.param(name, marks=marks) for name, marks in both.items()]
        metafunc.parametrize("server", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """The server that a test is run with."""
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
