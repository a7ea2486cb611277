"""Containers that fail as apps do, and how the engine's own words are explained."""

from collections.abc import Iterator

import docker
import docker.errors
import pytest

from loadbalancer.engine import failure
from loadbalancer.engine.readiness import NotReadyError, wait_until_ready
from tests.apps import containers
from tests.apps.conftest import Run
from tests.apps.containers import App, wait_for

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def odd_image(
    client: docker.DockerClient, python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An image with programs that cannot be started."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "Dockerfile").write_text(f"FROM {python_image}\nCOPY other lost script /\n")
    (folder / "other").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (folder / "lost").write_text("#!/no/such/interpreter\n")
    (folder / "script").write_text("#!/bin/sh\n")
    for path, mode in (("other", 0o755), ("lost", 0o755), ("script", 0o644)):
        (folder / path).chmod(mode)
    name = containers.build(client, folder, {})
    yield name
    containers.remove_image(client, name)


def ready_error(client: docker.DockerClient, app: App) -> str:
    """Wait for a container as an update does; return its error."""
    with pytest.raises(NotReadyError) as caught:
        wait_until_ready(client, [str(app.container.name)], timeout=60, settle=0)
    return str(caught.value)


def ended(app: App) -> str | None:
    wait_for(lambda: app.container.wait()["StatusCode"] is not None, "an end")
    app.container.reload()
    return failure.find(app.container)


def test_an_exit_code_is_known_after_a_restart(
    client: docker.DockerClient, start: Run, image: str
) -> None:
    command = ["sh", "-c", "echo no database; sleep 2; exit 3"]
    app = start(image, healthy=False, restart_policy={"Name": "always"}, command=command)

    def runs_again() -> bool:
        app.container.reload()
        state = app.container.attrs["State"]
        return bool(app.container.attrs["RestartCount"] and state["Status"] == "running")

    wait_for(runs_again, "a restart")
    assert app.container.attrs["State"]["ExitCode"] == 0
    error = ready_error(client, app)
    assert "ended with exit code 3 and was restarted" in error
    assert "  no database" in error


def test_a_lack_of_memory_is_named(start: Run, image: str) -> None:
    app = start(image, healthy=False, command=["python", "-c", "x = b'x' * (1 << 30)"])
    assert str(ended(app)).startswith(
        "ended with exit code 137: the kernel ended it for lack of memory"
    )


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("/other", "the program is for another processor, or a script without a #! line"),
        ("/lost", "the program, or the interpreter in its #! line, is not there"),
        ("/script", "the program is a file that is not executable"),
        ("/nothing", "the program, or the interpreter in its #! line, is not there"),
    ],
)
def test_a_program_that_cannot_be_started_is_explained(
    client: docker.DockerClient, odd_image: str, program: str, reason: str
) -> None:
    container = client.containers.create(odd_image, command=[program])
    try:
        try:
            container.start()
            container.wait()
        except docker.errors.APIError as error:
            assert program in str(error)
        container.reload()
        assert reason in str(failure.find(container))
    finally:
        container.remove(force=True)


def test_an_unhealthy_container_shows_what_its_probe_got(
    client: docker.DockerClient, start: Run, image: str
) -> None:
    health = {"test": ["CMD", *containers.PROBE], "interval": SECOND, "retries": 1}
    app = start(
        image, healthy=False, healthcheck=health, command=["sh", "-c", "echo up; sleep 3600"]
    )
    error = ready_error(client, app)
    assert "is unhealthy." in error
    assert f"  GET /healthz on port {containers.PORT}: connection refused after " in error
    assert "  It took " in error
    assert "  up" in error


def test_a_healthcheck_of_the_apps_own_is_shown(
    client: docker.DockerClient, start: Run, image: str
) -> None:
    health = {"test": ["CMD-SHELL", "echo queue is full; exit 7"], "interval": SECOND, "retries": 1}
    app = start(image, healthy=False, healthcheck=health, command=["sleep", "3600"])
    assert "Its last health check:\n  queue is full\n" in ready_error(client, app)


def test_a_probe_that_hangs_is_shown(client: docker.DockerClient, start: Run, image: str) -> None:
    health = {"test": ["CMD", "sleep", "9"], "interval": SECOND, "timeout": SECOND, "retries": 1}
    app = start(image, healthy=False, healthcheck=health, command=["sleep", "3600"])
    assert "Health check exceeded timeout" in ready_error(client, app)
