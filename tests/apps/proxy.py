"""nginx as the stack runs it, with its real files, in front of servers of a test; no Pulumi."""

import contextlib
import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
import requests
from docker.models.containers import Container

from loadbalancer.config import load
from loadbalancer.config.host_ports import ADMIN_PORT, LISTENING_PORT
from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.metrics import reading
from loadbalancer.metrics.reading import Reading
from loadbalancer.nginx import http_settings
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.process import FILES_FOLDER, ROUTE_FOLDER, SPOOL_FOLDER
from loadbalancer.providers import nginx_files
from tests.apps.containers import NGINX, PATIENCE, address_of, wait_for
from tests.apps.upstream import Upstream

APPS = ("app1", "app2")
"""Apps that the configuration may name; nothing here depends on them."""
URL = "http://127.0.0.1:8200"
"""The published address, as the settings have it."""


@dataclass
class Proxy:
    """A running nginx, reached at its address in the network of its upstream."""

    container: Container
    upstream: Upstream
    session: requests.Session = field(default_factory=requests.Session)
    address: str = ""
    configured: object = None
    routed: Mapping[str, int] | None = None

    def wait_until_started(self) -> None:
        """Wait until nginx serves, and find its address."""
        command = ["curl", "--silent", "--fail", "http://127.0.0.1:8081/healthz"]
        wait_for(lambda: exec.run(self.container, command)[0] == 0, "nginx to start", self.errors)
        self.address = address_of(self.container)

    def restart(self) -> None:
        """Restart nginx, and wait until it serves."""
        self.session.close()
        self.container.restart()
        self.wait_until_started()

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
        settings = load.load(config, APPS)
        rendered = http_settings.render(settings, URL, gateway)
        files = {**nginx_files.read(NGINX), **nginx_files.encoded(rendered)}
        for old, new in (edits or {}).items():
            assert old in files["nginx.conf"]
            files["nginx.conf"] = files["nginx.conf"].replace(old, new)
        LiveFiles(self.container).apply(files)
        # An old worker serves a connection that it has for some time more, as before.
        self.session.close()

    def route(self, weights: Mapping[str, int]) -> None:
        """Give the apps their shares, and wait until all servers are up."""
        if weights != self.routed:
            LiveRoute(self.container).apply(self.upstream.route(weights))
            self.session.close()
            self.routed = weights
        self.wait_until_up()

    def url(self, path: str = "/", port: int = LISTENING_PORT) -> str:
        """Return the address of a path."""
        return f"http://{self.address}:{port}{path}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Ask, on a connection of the session."""
        return self.request("GET", path, **arguments)

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request on a connection of the session."""
        arguments.setdefault("timeout", PATIENCE)
        return self.session.request(method, self.url(path), **arguments)

    def ask(self, path: str = "/", **arguments: Any) -> requests.Response:
        """Ask, on a connection of its own."""
        return requests.get(self.url(path), timeout=PATIENCE, **arguments)

    @contextlib.contextmanager
    def connect(self, data: bytes) -> Iterator[socket.socket]:
        """Connect, and send the bytes of a request, valid or not."""
        address = (self.address, LISTENING_PORT)
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall(data)
            yield connection

    def echo(self, **arguments: Any) -> dict[str, str]:
        """Return the header fields that an app gets; one that comes twice is an error."""
        fields = self.get("/echo", **arguments).json()["headers"]
        assert len({name for name, _ in fields}) == len(fields)
        return dict(fields)

    def answers(self, count: int) -> list[str]:
        """Send requests one after the other; return the names of the servers that answered."""
        bodies = []
        for _ in range(count):
            answer = self.get("/name")
            answer.raise_for_status()
            bodies.append(answer.text)
        return bodies

    def shares(self, count: int) -> Counter[str]:
        """Send requests one after the other; count the answers of each app."""
        return Counter(body.partition("-")[0] for body in self.answers(count))

    def admin(self, path: str, **arguments: Any) -> requests.Response:
        """Ask the admin port, on a connection of its own."""
        return requests.get(self.url(path, ADMIN_PORT), timeout=PATIENCE, **arguments)

    def status(self) -> dict[str, Any]:
        """Read /status.json."""
        found: dict[str, Any] = self.admin("/status.json").json()
        return found

    def reading(self) -> Reading:
        """Read the counters."""
        return reading.parse(self.admin("/metrics").text, time.time())

    def servers(self) -> dict[str, tuple[str, str]]:
        """Read the state of each server and why it is ejected."""
        return {
            one["name"]: (one["state"], one["ejected"])
            for app in self.status()["apps"]
            for one in app["servers"]
        }

    def ejected(self) -> dict[str, str]:
        """Read which servers are ejected, and why."""
        return {name: reason for name, (_, reason) in self.servers().items() if reason}

    def wait_until_up(self) -> None:
        """Wait until every server's last check has succeeded and none is ejected."""

        def look() -> object:
            found = self.servers()
            return None if set(found.values()) == {("up", "")} else found

        Wait(PATIENCE, 0.1).until("every server to be up", look)

    def wait_until_ejected(self, expected: Mapping[str, str]) -> None:
        """Wait until these servers are ejected for these reasons, and no other."""

        def look() -> object:
            found = self.ejected()
            return None if found == expected else found

        Wait(PATIENCE, 0.1).until(f"{expected} to be ejected", look)

    def wait_until_answering(self, app: str) -> None:
        """Wait until nginx's list of servers has the address that an app has got at its start.

        nginx asks Docker's name server again each second; checks find the address at once.
        """

        def look() -> object:
            served = self.ask().text
            return None if served.startswith(f"{app}-") else f"{served} answered"

        Wait(PATIENCE, 0.05).until(f"{app} to answer", look)

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
def running(
    client: docker.DockerClient, image: str, upstream: Upstream, **options: Any
) -> Iterator[Proxy]:
    """Run nginx with the default settings; every app gets an equal share.

    Args:
        client: the engine.
        image: nginx's image, built from nginx/.
        upstream: the servers.
        options: of Docker's SDK, for the container; `volumes` are names by the folders of nginx,
            each of which has by default a new volume of its own.
    """
    named = options.pop("volumes", {})
    folders = (FILES_FOLDER, ROUTE_FOLDER, SPOOL_FOLDER)
    container = client.containers.create(
        image,
        network=upstream.network,
        environment={"BUILD": ""},
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
        proxy = Proxy(container, upstream)
        proxy.wait_until_started()
        proxy.configure()
        proxy.route(dict.fromkeys(upstream.apps, 1))
        yield proxy
    finally:
        container.remove(force=True, v=True)


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def new_id() -> str:
    """Make the id of a request."""
    return f"test-{secrets.token_hex(8)}"
