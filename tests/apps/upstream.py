"""The servers behind an nginx of a test: stubs, or apps that the test runs itself."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker

from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.upstream import split
from tests.apps import containers
from tests.apps.containers import PATIENCE, USER, App
from tests.apps.stub import FLAGS

STUB = Path(__file__).with_name("stub.py").read_text()
"""The program of a stub."""


@dataclass
class Upstream:
    """The servers of each app, in a network whose name server knows their names."""

    network: str
    apps: dict[str, list[App]]

    def route(self, weights: Mapping[str, int]) -> str:
        """Write the route that gives apps their shares."""
        servers = {
            app: [(str(one.container.name), one.port) for one in self.apps[app]] for app in weights
        }
        return split(weights, servers)

    def names(self, *apps: str) -> list[str]:
        """Name the servers of some apps as nginx does, by host and port."""
        return [f"{one.container.name}:{one.port}" for app in apps for one in self.apps[app]]

    def first(self, app: str) -> App:
        """Return the first server of an app."""
        return self.apps[app][0]

    def seen(self, app: str) -> list[str]:
        """List the request IDs that an app's first stub has got since it was started."""
        return self.first(app).get("/seen").text.splitlines()

    def release(self, id_: str) -> None:
        """Release requests that wait, whichever stub has them."""
        for servers in self.apps.values():
            for one in servers:
                one.get(f"/release/{id_}")


def port_of(app: str) -> int:
    """Return the port on which the stubs of an app listen: app1 on 5001."""
    return 5000 + int(app.removeprefix("app"))


def wait_until_reachable(server: App) -> None:
    """Wait until a server takes connections from outside its container."""

    def look() -> object:
        address = server.address
        if not address:
            return "no address"
        try:
            socket.create_connection((address, server.port), timeout=1).close()
        except OSError as error:
            return error
        return None

    Wait(PATIENCE, 0.05).until(f"{server.container.name} to listen", look)


@contextlib.contextmanager
def flag(server: App, name: str) -> Iterator[None]:
    """Have a stub's checks be `sick` or `busy` while the block runs."""
    assert server.run("touch", f"{FLAGS}/{name}")[0] == 0
    try:
        yield
    finally:
        server.run("rm", f"{FLAGS}/{name}")


@contextlib.contextmanager
def paused(server: App) -> Iterator[None]:
    """Freeze a server: it accepts connections, and never answers."""
    server.container.pause()
    try:
        yield
    finally:
        server.container.unpause()


@contextlib.contextmanager
def stubs(
    client: docker.DockerClient, image: str, apps: Mapping[str, int], *, hosts: str = ""
) -> Iterator[Upstream]:
    """Run so many stubs of each app in a network of their own.

    Docker starts one again that ends by itself.

    Args:
        client: the engine.
        image: an image with Python.
        apps: number of servers of each app.
        hosts: the only host names that they answer to, separated by spaces; by default to all.
    """
    with contextlib.ExitStack() as cleanup:
        network = cleanup.enter_context(containers.network(client))

        def start(app: str, number: int) -> App:
            name = f"{app}-{number}"
            stub = containers.created(
                client,
                image,
                name=f"{network}-{name}",
                network=network,
                entrypoint=[],
                command=["python3", "-c", STUB],
                user=USER,
                environment={"NAME": name, "PORT": str(port_of(app)), "HOSTS": hosts},
                restart_policy={"Name": "unless-stopped"},
                stop_signal="SIGKILL",
            )
            return cleanup.enter_context(stub)

        started = {
            app: [start(app, number) for number in range(1, count + 1)]
            for app, count in apps.items()
        }
        for servers in started.values():
            for one in servers:
                wait_until_reachable(one)
        yield Upstream(network, started)
