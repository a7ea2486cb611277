"""nginx with the files of this project, in front of an app's container; without Pulumi."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from loadbalancer.engine import exec
from loadbalancer.nginx.live_files import LiveFiles
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.providers import nginx_files
from tests.apps.containers import wait_for

FOLDER = Path(__file__).resolve().parents[3] / "nginx"
PORT = 8080
HEALTHY = ("curl", "--silent", "--fail", "http://127.0.0.1:8081/healthz")


@contextlib.contextmanager
def nginx(
    client: docker.DockerClient, image: str, network: str, route: str
) -> Iterator[tuple[str, int]]:
    """Run nginx with the files of the project and a route; yields its address."""
    container = client.containers.create(
        image, cap_drop=["ALL"], labels={"test": "apps"}, network=network
    )
    try:
        container.start()
        wait_for(lambda: exec.run(container, HEALTHY)[0] == 0, "nginx to start")
        LiveFiles(container).apply(nginx_files.read(FOLDER))
        LiveRoute(container).apply(route)
        container.reload()
        networks: dict[str, Any] = container.attrs["NetworkSettings"]["Networks"]
        yield str(networks[network]["IPAddress"]), PORT
    finally:
        container.remove(force=True, v=True)
