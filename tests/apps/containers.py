"""Images and containers of the apps, as tests need them."""

import contextlib
import http.client
import io
import json
import os
import secrets
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import requests
from docker.models.containers import Container

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait, WaitTimeoutError

APPS = Path(__file__).resolve().parents[2] / "apps"
NGINX = APPS.with_name("nginx")
PORT = 5001
PROBE = ["bash", "/srv/_server/probe.sh"]
USER = "10001:10001"
MEMORY = "256m"
SILENCE = 300
"""Seconds that Docker may take over one thing, such as a step of a build."""

LAYER_GONE = ("failed to get digest", "unknown parent image ID", "No such image")
"""What Docker says where a build goes on from a layer of its cache, and another worker just then
removes the last image that has it."""

PATIENCE = 120.0
"""Seconds to wait for what a test has seen to; it costs nothing where things go well."""

GRACE = 3600
"""Seconds of the app's time of grace: what exits at its end only does not within PATIENCE."""


def python_image(client: docker.DockerClient) -> str:
    """Return the base image of the apps."""
    return base_image(client, "python", "python:3.14-slim")


def nginx_image(client: docker.DockerClient) -> str:
    """Return the base image of nginx."""
    return base_image(client, "nginx", "nginx:1.30")


def base_image(client: docker.DockerClient, kind: str, official: str) -> str:
    """Return a base image: the one that is named, a local equivalent, or the official one."""
    named = os.environ.get(f"{kind.upper()}_IMAGE")
    if named:
        return named
    for image in client.images.list(name=f"loadbalancer-base/{kind}"):
        if image.tags:
            return str(image.tags[0])
    return official


def build(
    client: docker.DockerClient, context: Path, arguments: Mapping[str, str], **options: Any
) -> str:
    """Build an image and return its name, its own; raise BuildError with the log's end."""
    name = f"test-apps:{secrets.token_hex(6)}"

    def look() -> str | None:
        try:
            client.images.build(
                path=str(context),
                tag=name,
                rm=True,
                forcerm=True,
                buildargs=dict(arguments),
                **options,
            )
        except docker.errors.BuildError as error:
            if any(text in error.msg for text in LAYER_GONE):
                return str(error.msg)
            log = "".join(str(step.get("stream", "")) for step in error.build_log)
            raise docker.errors.BuildError(f"{error.msg}\n{log[-3000:]}", iter(())) from error
        return None

    Wait(timeout=SILENCE).until("a build on layers that nobody removes meanwhile", look)
    return name


def remove_image(client: docker.DockerClient, name: str) -> None:
    """Remove an image; Docker may trip over a layer that another worker removes just then."""

    def look() -> None:
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.remove(name, force=True)

    Wait(timeout=PATIENCE, forgives=(docker.errors.APIError,)).until("an image to go", look)


@dataclass
class App:
    """A running container of an app, reached at its address on Docker's bridge."""

    container: Container
    port: int = PORT
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def address(self) -> str:
        """Its address; empty when it has none any more."""
        return address_of(self.container)

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://{self.address}:{self.port}{path}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Ask, on a connection of the session."""
        arguments.setdefault("timeout", PATIENCE)
        return self.session.get(self.url(path), **arguments)

    def probe(self) -> int:
        """Run the health probe as Docker would; return its exit code."""
        return self.run(*PROBE)[0]

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program inside; return its exit code and what it wrote."""
        return exec.run(self.container, command)

    def wait_until_healthy(self) -> None:
        """Wait for the probe; the error shows the log."""
        wait_for(lambda: self.probe() == 0, "a healthy probe", self.text_log)

    def wait_until_listening(self) -> None:
        """Wait until something inside takes connections on the port."""
        wait_for(self.listens, "a listener", self.text_log)

    def listens(self) -> bool:
        """Tell whether something inside takes connections on the port."""
        return self.run("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{self.port}")[0] == 0

    def text_log(self) -> str:
        """Return both streams of the log."""
        return self.container.logs().decode()

    def records(self) -> list[dict[str, Any]]:
        """Return the request log; anything on standard output that is not JSON is an error."""
        lines = self.container.logs(stdout=True, stderr=False).decode().splitlines()
        return [json.loads(line) for line in lines]

    def wait_until_recorded(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many requests are in the log, which lags; return all that it has."""
        wait_for(lambda: len(self.records()) >= count, "request log", self.text_log)
        return self.records()

    def wait_until_asked(self, count: int = 1) -> None:
        """Wait until so many requests have reached the app that can be made to wait."""

        def asked() -> int:
            return len(self.run("cat", "/tmp/asked")[1].splitlines())  # noqa: S108

        wait_for(lambda: asked() >= count, "request", self.text_log)

    def let_go(self) -> None:
        """Let the app that can be made to wait answer what it has."""
        assert self.run("touch", "/tmp/let-go")[0] == 0  # noqa: S108

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.container.kill("SIGTERM")

    def wait_for_exit(self) -> int:
        """Wait for the exit, and return its code; it comes long before the end of GRACE."""
        code: int = self.container.wait(timeout=PATIENCE)["StatusCode"]
        return code

    def stop(self) -> int:
        """Send SIGTERM and wait for the exit; return its code."""
        self.terminate()
        return self.wait_for_exit()


def address_of(container: Container) -> str:
    """Return a container's address in its one network; empty when it has none any more."""
    container.reload()
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def wait_for(
    condition: Callable[[], bool], what: str, last_seen: Callable[[], str] = lambda: ""
) -> None:
    """Poll a condition; docker.errors.APIError counts as not yet."""
    wait = Wait(timeout=PATIENCE, forgives=(docker.errors.APIError,))
    try:
        wait.until(what, lambda: None if condition() else "not yet")
    except WaitTimeoutError as error:
        raise TimeoutError(f"{error}\n{last_seen()}") from error


def answer_on(connection: socket.socket) -> tuple[int, bytes]:
    """Read a whole answer, however many pieces it comes in; return its status and body."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


@contextlib.contextmanager
def created(client: docker.DockerClient, image: str, **arguments: Any) -> Iterator[App]:
    """Run an image as the stack does, and remove the container at the end."""
    environment = {
        "PORT": str(PORT),
        "APP": "app1",
        "GRACE_SECONDS": str(GRACE),
        **arguments.pop("environment", {}),
    }
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


@contextlib.contextmanager
def network(client: docker.DockerClient) -> Iterator[str]:
    """Make a network with a name server, unlike Docker's bridge; it is removed at the end."""
    made = client.networks.create(f"test-apps-{secrets.token_hex(6)}", labels={"test": "apps"})
    try:
        yield str(made.name)
    finally:
        made.remove()


def read_from(container: Container, path: str) -> dict[str, tarfile.TarInfo]:
    """Return what is under a path in a container, by name."""
    data = io.BytesIO(b"".join(container.get_archive(path)[0]))
    with tarfile.open(fileobj=data) as archive:
        return {member.name: member for member in archive.getmembers()}
