"""nginx as the stack runs it, in front of stubs of apps, without Pulumi."""

import contextlib
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests
from docker.models.containers import Container

from loadbalancer.config import load
from loadbalancer.engine import exec
from loadbalancer.nginx import http_settings
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.process import FILES_FOLDER, ROUTE_FOLDER, SPOOL_FOLDER
from loadbalancer.nginx.upstream import Server, render
from loadbalancer.providers import nginx_files
from tests.apps.containers import PATIENCE, address_of, created, wait_for

NGINX = Path(__file__).resolve().parents[2] / "nginx"
STUB = Path(__file__).with_name("stub.py").read_text()
PORTS = {"app1": 5001, "app2": 5002}
URL = "http://127.0.0.1:8200"
"""The published address, as the settings have it."""


@dataclass
class Proxy:
    """A running nginx, reached at its address on Docker's bridge."""

    container: Container
    address: str
    session: requests.Session = field(default_factory=requests.Session)
    configured: object = None
    stubs: dict[str, str] = field(default_factory=dict)

    def url(self, path: str, port: int = 8080) -> str:
        """Return the address of a path."""
        return f"http://{self.address}:{port}{path}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Ask, on a connection of the session."""
        return self.request("GET", path, **arguments)

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request on a connection of the session."""
        arguments.setdefault("timeout", PATIENCE)
        return self.session.request(method, self.url(path), **arguments)

    def echo(self, **arguments: Any) -> dict[str, str]:
        """Return the header fields that an app gets; one that comes twice is an error."""
        fields = self.get("/echo", **arguments).json()["headers"]
        assert len({name for name, _ in fields}) == len(fields)
        return dict(fields)

    def configure(
        self,
        *,
        gateway: str = "192.0.2.1",
        edits: Mapping[bytes, bytes] | None = None,
        **config: object,
    ) -> None:
        """Have nginx serve by the files of the project and a configuration; edit nginx.conf."""
        if self.configured == (gateway, edits, config):
            return
        self.configured = (gateway, edits, config)
        settings = load.load(config, PORTS)
        rendered = http_settings.render(settings, URL, gateway)
        texts = {name: text.encode() for name, text in rendered.items()}
        files = {**nginx_files.read(NGINX), **texts}
        for old, new in (edits or {}).items():
            assert old in files["nginx.conf"]
            files["nginx.conf"] = files["nginx.conf"].replace(old, new)
        LiveFiles(self.container).apply(files)
        # An old worker serves a connection that it has for some time more, as before.
        self.session.close()

    def route(self, stubs: dict[str, str]) -> None:
        """Pass requests to stubs, by their addresses, in equal shares."""
        self.stubs = stubs
        servers = [Server(app, host, PORTS[app], 1) for app, host in stubs.items()]
        text = render(servers, dict.fromkeys(stubs, 1))
        # The network of the bridge has no name server.
        LiveRoute(self.container).apply(text.replace(" resolve;", ";"))

    def wait_until_answered(self) -> None:
        """Wait until no server is out for a failure of the test before."""
        wait_for(lambda: self.get("/name").status_code == 200, "an answer", self.errors)

    def release(self, id_: str) -> None:
        """Release requests that wait, whichever stub has them."""
        for app, address in self.stubs.items():
            url = f"http://{address}:{PORTS[app]}/release/{id_}"
            requests.get(url, timeout=PATIENCE)

    @contextlib.contextmanager
    def connect(self, data: bytes, port: int = 8080) -> Iterator[socket.socket]:
        """Connect, and send the bytes of a request, valid or not."""
        with socket.create_connection((self.address, port), timeout=PATIENCE) as connection:
            connection.sendall(data)
            yield connection

    def errors(self) -> str:
        """Return what nginx has written to its error log."""
        return self.container.logs(stdout=False).decode()

    def records(self) -> list[dict[str, Any]]:
        """Return the access log; anything on standard output that is not JSON is an error."""
        lines = self.container.logs(stdout=True, stderr=False).decode().splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_record(self, id_: str) -> dict[str, Any]:
        """Wait until the request of an id is in the access log, and return its line."""

        def found() -> list[dict[str, Any]]:
            return [one for one in self.records() if one["id"] == id_]

        wait_for(lambda: bool(found()), f"request {id_} in the log", self.errors)
        return found()[0]


@contextlib.contextmanager
def stub(client: docker.DockerClient, image: str, app: str) -> Iterator[str]:
    """Run a stub of an app; yields its address."""
    environment = {"APP": app, "PORT": str(PORTS[app])}
    command = ["python3", "-c", STUB]
    options: dict[str, Any] = {"entrypoint": [], "command": command, "environment": environment}
    with created(client, image, **options) as one:
        one.port = PORTS[app]
        one.wait_until_listening()
        yield one.address


@contextlib.contextmanager
def nginx(client: docker.DockerClient, image: str, **options: Any) -> Iterator[Container]:
    """Run nginx's image as the stack does, with volumes of its own."""
    named = options.pop("volumes", {})
    folders = (FILES_FOLDER, ROUTE_FOLDER, SPOOL_FOLDER)
    container = client.containers.create(
        image,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        volumes=[f"{named[one]}:{one}" if one in named else one for one in folders],
        tmpfs={"/tmp": ""},  # noqa: S108 - the container's own
        labels={"test": "apps"},
        **options,
    )
    try:
        container.start()
        url = "http://127.0.0.1:8081/healthz"
        wait_for(
            lambda: exec.run(container, ["curl", "--silent", "--fail", url])[0] == 0,
            "nginx to start",
            lambda: container.logs(stdout=False).decode(),
        )
        yield container
    finally:
        container.remove(force=True, v=True)


@contextlib.contextmanager
def proxy(client: docker.DockerClient, image: str, **options: Any) -> Iterator[Proxy]:
    """Run nginx on Docker's bridge, with the options of `nginx`."""
    with nginx(client, image, **options) as container:
        yield Proxy(container, address_of(container))


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def new_id() -> str:
    """Make the id of a request."""
    return f"test-{secrets.token_hex(8)}"
