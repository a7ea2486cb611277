"""nginx with its real files in front of stub servers, without Pulumi: a cheap way to test it."""

import contextlib
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

from loadbalancer.engine.wait import Wait
from loadbalancer.metrics import reading
from loadbalancer.metrics.reading import Reading
from loadbalancer.nginx import upstream
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.providers import nginx_files
from tests.apps import containers, proxies
from tests.apps.containers import PATIENCE, address_of
from tests.apps.proxies import NGINX

STUB = r"""
import http.server, os, socket, socketserver, struct, sys, threading, time

NAME, PORT = os.environ["NAME"], int(os.environ["PORT"])
HOSTS = os.environ.get("HOSTS", "").split()
SEEN, SLOW = [], []

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for an answer

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        path = self.path.strip("/").split("/")
        host = self.headers.get("Host", "").partition(":")[0]
        if HOSTS and host not in HOSTS:
            return self.send(400, "host " + host)
        if path[0] == "healthz":
            if os.path.exists("/tmp/sick"):
                return self.send(503, "sick")
            if os.path.exists("/tmp/busy"):
                time.sleep(1.5)
                SLOW.append(1)
            return self.send(200, "ok")
        if path[0] == "seen":
            return self.send(200, "\n".join(SEEN))
        if path[0] == "slow-checks":
            return self.send(200, str(len(SLOW)))
        SEEN.append(self.headers.get("X-Request-ID", ""))
        if path[0] == "reset" and NAME.endswith(path[1]):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        if path[0] == "die" and NAME.endswith(path[1]):
            os._exit(3)
        if path[0] == "header":
            return self.send(200, NAME, int(path[1]))
        if path[0] == "status":
            return self.send(int(path[1]), NAME)
        if path[0] == "slow":
            time.sleep(float(path[1]))
        self.send(200, NAME)

    do_GET = do_POST = do_HEAD = answer

    def send(self, code, body, header=0):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if header:
            self.send_header("Set-Cookie", "a=" + "x" * header)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *arguments):
        pass

Server(("0.0.0.0", PORT), Handler).serve_forever()
"""


@dataclass
class Proxy:
    """A running nginx and its servers: app -> containers."""

    container: Container
    apps: dict[str, list[Container]] = field(default_factory=dict)
    routed: Mapping[str, int] | None = None

    @property
    def address(self) -> str:
        """nginx's address in its network, which the host reaches without a published port."""
        return address_of(self.container)

    @property
    def url(self) -> str:
        """The public port."""
        return f"http://{self.address}:8080"

    @property
    def admin(self) -> str:
        """The admin port."""
        return f"http://{self.address}:9113"

    def route(self, weights: Mapping[str, int]) -> None:
        """Give the apps their shares, and wait until all servers are up."""
        if weights != self.routed:
            servers = {
                app: [(str(one.name), port_of(app)) for one in self.apps[app]] for app in weights
            }
            LiveRoute(self.container).apply(upstream.split(weights, servers))
            self.routed = weights
        self.wait_until_up()

    def names(self, *apps: str) -> list[str]:
        """Name the servers (`host:port`) of some apps, by default of all."""
        return [f"{one.name}:{port_of(app)}" for app in apps or self.apps for one in self.apps[app]]

    def status(self) -> dict[str, Any]:
        """Read /status.json."""
        found: dict[str, Any] = requests.get(f"{self.admin}/status.json", timeout=PATIENCE).json()
        return found

    def reading(self) -> Reading:
        """Read the counters."""
        text = requests.get(f"{self.admin}/metrics", timeout=PATIENCE).text
        return reading.parse(text, time.time())

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

    def wait_until_answering(self, app: str) -> None:
        """Wait until nginx's list of servers has the address that an app has got at its start.

        nginx asks Docker's name server again each second; checks find the address at once.
        """

        def look() -> object:
            served = self.get().text
            return None if served.startswith(f"{app}-") else f"{served} answered"

        Wait(PATIENCE, 0.05).until(f"{app} to answer", look)

    def wait_until_ejected(self, expected: Mapping[str, str]) -> None:
        """Wait until these servers are ejected for these reasons, and no other."""

        def look() -> object:
            found = self.ejected()
            return None if found == expected else found

        Wait(PATIENCE, 0.1).until(f"{expected} to be ejected", look)

    def get(self, path: str = "/", **options: Any) -> requests.Response:
        """Ask on a connection of its own."""
        return requests.get(self.url + path, timeout=PATIENCE, **options)

    def answers(self, count: int, path: str = "/") -> list[str]:
        """Send requests one after the other; return the names of the apps that answered."""
        with requests.Session() as session:
            bodies = []
            for _ in range(count):
                answer = session.get(self.url + path, timeout=PATIENCE)
                answer.raise_for_status()
                bodies.append(answer.text)
        return bodies

    def shares(self, count: int) -> Counter[str]:
        """Count the answers of each app."""
        return Counter(body.split("-")[0] for body in self.answers(count))

    def seen(self, app: str) -> list[str]:
        """List the request IDs that the first server of an app has got since it was started."""
        return self.direct(app, "/seen").splitlines()

    def direct(self, app: str, path: str) -> str:
        """Ask the first server of an app past nginx."""
        url = f"http://{address_of(self.apps[app][0])}:{port_of(app)}{path}"
        return requests.get(url, timeout=PATIENCE).text

    @contextlib.contextmanager
    def configured(self, changes: Mapping[str, str]) -> Iterator[None]:
        """Have other texts in nginx's files, in place of those that they have."""
        before = nginx_files.read(NGINX)
        files = dict(before)
        for old, new in changes.items():
            changed = {
                name: data.replace(old.encode(), new.encode()) for name, data in files.items()
            }
            assert changed != files, f"no file has {old!r}"
            files = changed
        LiveFiles(self.container).apply(files)
        try:
            yield
        finally:
            LiveFiles(self.container).apply(before)


def port_of(app: str) -> int:
    """Return the port on which the servers of an app listen: app1 on 5001."""
    return 5000 + int(app.removeprefix("app"))


def wait_until_listening(container: Container, port: int) -> None:
    """Wait until a container takes connections."""

    def look() -> object:
        address = address_of(container)
        if not address:
            return "no address"
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError as error:
            return error
        return None

    Wait(PATIENCE, 0.05).until(f"{container.name} to listen", look)


@contextlib.contextmanager
def running(
    client: docker.DockerClient, image: str, python_image: str, apps: Mapping[str, int], **env: str
) -> Iterator[Proxy]:
    """Run nginx and so many servers of each app, all in a network of their own.

    Args:
        client: the engine.
        image: nginx's image, built from nginx/.
        python_image: image of the servers.
        apps: number of servers of each app.
        env: environment of the servers, beside NAME and PORT.
    """
    suffix = secrets.token_hex(4)
    with contextlib.ExitStack() as cleanup:
        network = cleanup.enter_context(containers.network(client))

        def run(image: str, name: str, **options: Any) -> Container:
            container = client.containers.create(
                image,
                name=name,
                network=network,
                labels={"test": "apps"},
                read_only=True,
                tmpfs={"/tmp": ""},  # noqa: S108 - the container's own
                **options,
            )
            cleanup.callback(container.remove, force=True, v=True)
            container.start()
            return container

        nginx = cleanup.enter_context(
            proxies.nginx(
                client, image, name=f"nginx-{suffix}", network=network, environment={"BUILD": ""}
            )
        )
        proxy = Proxy(nginx)
        for app, number in apps.items():
            proxy.apps[app] = [
                run(
                    python_image,
                    f"of-a-test-of-ejection-{app}-{n}-{suffix}",
                    command=["python", "-c", STUB],
                    user="10001:10001",
                    restart_policy={"Name": "unless-stopped"},
                    environment={"NAME": f"{app}-{n}", "PORT": str(port_of(app)), **env},
                    stop_signal="SIGKILL",
                )
                for n in range(1, number + 1)
            ]
            for one in proxy.apps[app]:
                wait_until_listening(one, port_of(app))
        LiveFiles(nginx).apply(nginx_files.read(NGINX))
        proxy.route(dict.fromkeys(apps, 1))
        yield proxy
