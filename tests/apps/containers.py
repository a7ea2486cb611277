"""Images and containers of the apps, as tests need them."""

import contextlib
import io
import json
import os
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import requests
from docker.models.containers import Container

APPS = Path(__file__).resolve().parents[2] / "apps"
PORT = 5001
PROBE = ["bash", "/srv/_server/probe.sh"]
USER = "10001:10001"
MEMORY = "256m"
# What must exit within the time of grace gets it, and this for Docker itself.
EXIT_SECONDS = 60


def python_image(client: docker.DockerClient) -> str:
    """Return the base image: the one that is named, a local equivalent, or the official one."""
    named = os.environ.get("PYTHON_IMAGE")
    if named:
        return named
    for image in client.images.list(name="loadbalancer-base/python"):
        if image.tags:
            return str(image.tags[0])
    return "python:3.14-slim"


def build(client: docker.DockerClient, context: Path, arguments: Mapping[str, str]) -> str:
    """Build an image and return its name, its own; raise BuildError with the log's end."""
    name = f"test-apps:{secrets.token_hex(6)}"
    try:
        client.images.build(
            path=str(context), tag=name, rm=True, forcerm=True, buildargs=dict(arguments)
        )
    except docker.errors.BuildError as error:
        log = "".join(str(step.get("stream", "")) for step in error.build_log)
        raise docker.errors.BuildError(f"{error.msg}\n{log[-3000:]}", iter(())) from error
    return name


@dataclass
class App:
    """A running container of an app, reached at its address on Docker's bridge."""

    container: Container
    port: int = PORT
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def address(self) -> str:
        """Its address; empty when it has none any more."""
        self.container.reload()
        networks: dict[str, Any] = self.container.attrs["NetworkSettings"]["Networks"]
        return str(networks["bridge"]["IPAddress"])

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://{self.address}:{self.port}{path}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Ask, on a connection of the session."""
        arguments.setdefault("timeout", 10)
        return self.session.get(self.url(path), **arguments)

    def probe(self) -> int:
        """Run the health probe as Docker would; return its exit code."""
        return self.run(*PROBE)[0]

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program inside; return its exit code and what it wrote."""
        code, output = self.container.exec_run(list(command))
        return int(code or 0), bytes(output).decode() if isinstance(output, bytes) else ""

    def wait_until_healthy(self, timeout: float = 20) -> None:
        """Wait for the probe; the error shows the log."""
        wait_for(lambda: self.probe() == 0, "a healthy probe", timeout, self.text_log)

    def text_log(self) -> str:
        """Return both streams of the log."""
        return self.container.logs().decode()

    def records(self) -> list[dict[str, Any]]:
        """Return the request log; anything on standard output that is not JSON is an error."""
        lines = self.container.logs(stdout=True, stderr=False).decode().splitlines()
        return [json.loads(line) for line in lines]

    def stop(self) -> float:
        """Send SIGTERM and wait for the exit; return how long it took, in seconds."""
        started = time.monotonic()
        self.container.kill("SIGTERM")
        self.container.wait(timeout=EXIT_SECONDS)
        return time.monotonic() - started

    @property
    def exit_code(self) -> int:
        """The exit code, after the exit."""
        self.container.reload()
        code: int = self.container.attrs["State"]["ExitCode"]
        return code


def wait_for(
    condition: Callable[[], bool],
    what: str,
    timeout: float,
    last_seen: Callable[[], str] = lambda: "",
) -> None:
    """Poll a condition; docker.errors.APIError counts as not yet."""
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(docker.errors.APIError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout} s; last seen:\n{last_seen()}")
        time.sleep(0.05)


@contextlib.contextmanager
def created(client: docker.DockerClient, image: str, **arguments: Any) -> Iterator[App]:
    """Run an image as the stack does, and remove the container at the end."""
    environment = {"PORT": str(PORT), "APP": "app1", **arguments.pop("environment", {})}
    container = client.containers.create(
        image,
        environment=environment,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": ""},  # noqa: S108  the container's own
        mem_limit=MEMORY,
        memswap_limit=MEMORY,
        labels={"test": "apps"},
        **arguments,
    )
    try:
        container.start()
        yield App(container, int(environment["PORT"]) if environment["PORT"].isdigit() else PORT)
    finally:
        container.remove(force=True, v=True)


def read_from(container: Container, path: str) -> dict[str, tarfile.TarInfo]:
    """Return what is under a path in a container, by name."""
    data = io.BytesIO(b"".join(container.get_archive(path)[0]))
    with tarfile.open(fileobj=data) as archive:
        return {member.name: member for member in archive.getmembers()}
