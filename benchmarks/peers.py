"""The compared balancers: this stack's nginx, bare nginx, HAProxy, Caddy, and the tutorial's stack.

All but the last pass requests to the same containers of apps. Each publishes its port as the stack
does, through Docker.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.models.containers import Container
from docker.types import LogConfig

from benchmarks import peer_configs
from benchmarks.peer_configs import PORT, Servers
from benchmarks.processes import APPS, BALANCER
from loadbalancer import engine
from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx import upstream
from loadbalancer.nginx.process import ROUTE_FOLDER
from loadbalancer.resources.container import LOG_OPTIONS
from tests.apps.containers import build, network, remove_image
from tests.stack.deployment import PROJECT, Deployment, free_ports

STACK = "this stack"
NGINX = "bare nginx"
HAPROXY = "HAProxy"
CADDY = "Caddy"
TUTORIAL = "tutorial"
NAMES = (STACK, NGINX, HAPROXY, CADDY, TUTORIAL)

WEIGHTS = {"app1": 6, "app2": 4}
IMAGES = Path(__file__).resolve().parent / "images"
APP = IMAGES / "app.py"
LABELS = {"benchmark": "peers"}
_LOG = LogConfig(type="local", config=LOG_OPTIONS)
"""How the stack has its containers' output stored."""


@dataclass(frozen=True)
class Kind:
    """A balancer in front of the stack's apps."""

    folder: str | None
    """The folder of IMAGES that its image is built from; without one it is nginx's base image."""
    path: str
    """Where its configuration is in the container."""
    config: Callable[[Servers], str]
    version: Sequence[str]
    """The command that prints its version."""


KINDS = {
    NGINX: Kind(None, "/etc/nginx/nginx.conf", peer_configs.nginx, ("nginx", "-v")),
    HAPROXY: Kind("haproxy", "/srv/haproxy.cfg", peer_configs.haproxy, ("haproxy", "-v")),
    CADDY: Kind("caddy", "/srv/Caddyfile", peer_configs.caddy, ("caddy", "version")),
}


@dataclass(frozen=True)
class Peer:
    """A balancer that runs, and the containers that take part in answering its requests."""

    name: str
    version: str
    url: str
    roles: Mapping[str, str]
    """What each container is, BALANCER or APPS, by its ID."""


@contextmanager
def stack(folder: Path, base_images: Mapping[str, str]) -> Iterator[Deployment]:
    """Bring a stack up whose apps answer with bodies of any size; all else is the default."""
    with Deployment.temporary(folder, base_images) as deployment:
        for app in WEIGHTS:
            shutil.copy(APP, deployment.folder / "apps" / app / "app.py")
        deployment.set_weights(**WEIGHTS)
        deployment.up()
        yield deployment


@contextmanager
def running(
    names: Sequence[str], deployment: Deployment, base_images: Mapping[str, str]
) -> Iterator[list[Peer]]:
    """Run the named peers beside a stack, whose apps they share, until the end."""
    client = engine.connect()
    with ExitStack() as cleanup:
        yield [cleanup.enter_context(_run(name, client, deployment, base_images)) for name in names]


@contextmanager
def _run(
    name: str, client: docker.DockerClient, deployment: Deployment, base_images: Mapping[str, str]
) -> Iterator[Peer]:
    if name == TUTORIAL:
        with _tutorial(client, base_images) as peer:
            yield peer
        return
    balancer = deployment.nginx()
    every = deployment.containers().values()
    roles = {str(one.id): APPS for one in every if one.id != balancer.id}
    if name == STACK:
        version = _version(balancer, ["nginx", "-v"])
        yield Peer(name, version, deployment.url, {**roles, str(balancer.id): BALANCER})
        return
    kind = KINDS[name]
    (stack_network,) = balancer.attrs["NetworkSettings"]["Networks"]
    files = {kind.path: kind.config(_servers(balancer))}
    with ExitStack() as cleanup:
        if kind.folder:
            image = cleanup.enter_context(_built(client, kind.folder, base_images))
        else:
            image = base_images["nginx"]
        container, url = cleanup.enter_context(_published(client, image, files, stack_network))
        _wait(name, url, container)
        version = _version(container, kind.version)
        yield Peer(name, version, url, {**roles, str(container.id): BALANCER})


@contextmanager
def _tutorial(client: docker.DockerClient, base_images: Mapping[str, str]) -> Iterator[Peer]:
    """Run two development servers behind nginx with the image's settings, as the tutorial does."""
    with ExitStack() as cleanup:
        context = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        requirements = PROJECT / "apps" / "app1" / "requirements.txt"
        for path in (IMAGES / "tutorial" / "Dockerfile", requirements, APP):
            shutil.copy(path, context)
        image = build(client, context, {"PYTHON_IMAGE": base_images["python"]})
        cleanup.callback(remove_image, client, image)
        own_network = cleanup.enter_context(network(client))
        apps = [cleanup.enter_context(_started(client, image, {}, own_network)) for _ in WEIGHTS]
        servers = {
            f"{str(app.id)[:12]}:5001": weight
            for app, weight in zip(apps, WEIGHTS.values(), strict=True)
        }
        files = {"/etc/nginx/conf.d/default.conf": peer_configs.tutorial(servers)}
        container, url = cleanup.enter_context(
            _published(client, base_images["nginx"], files, own_network)
        )
        _wait(TUTORIAL, url, container)
        roles = {str(app.id): APPS for app in apps} | {str(container.id): BALANCER}
        yield Peer(TUTORIAL, _version(container, ["nginx", "-v"]), url, roles)


@contextmanager
def _built(client: docker.DockerClient, name: str, base_images: Mapping[str, str]) -> Iterator[str]:
    try:
        image = build(client, IMAGES / name, {"PYTHON_IMAGE": base_images["python"]})
    except docker.errors.BuildError as error:
        raise SystemExit(
            f"{error}\nThe image of {name} could not be built. Leave this peer out with --peers."
        ) from error
    try:
        yield image
    finally:
        remove_image(client, image)


@contextmanager
def _published(
    client: docker.DockerClient, image: str, files: Mapping[str, str], network_name: str
) -> Iterator[tuple[Container, str]]:
    (port,) = free_ports(1)
    ports = {f"{PORT}/tcp": ("127.0.0.1", port)}
    with _started(client, image, files, network_name, ports=ports, log_config=_LOG) as container:
        yield container, f"http://127.0.0.1:{port}"


@contextmanager
def _started(
    client: docker.DockerClient,
    image: str,
    files: Mapping[str, str],
    network_name: str,
    **options: Any,
) -> Iterator[Container]:
    container = client.containers.create(image, network=network_name, labels=LABELS, **options)
    try:
        if files:
            named = {path.removeprefix("/"): text.encode() for path, text in files.items()}
            exec.write_folder(container, "/", named)
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def _servers(balancer: Container) -> Servers:
    """Read the servers of the stack and their weights from its route."""
    code, text = exec.run(balancer, ["cat", f"{ROUTE_FOLDER}/route.conf"])
    servers = upstream.weights(text)
    if code or not servers:
        raise SystemExit(f"the stack's route has no servers: {text}")
    return servers


def _version(container: Container, command: Sequence[str]) -> str:
    return exec.run(container, command)[1].strip().splitlines()[0]


def _wait(name: str, url: str, container: Container) -> None:
    def look() -> object:
        container.reload()
        if container.status == "exited":
            raise SystemExit(f"{name} exited:\n{container.logs().decode()}")
        answer = requests.get(f"{url}/bytes/1024", timeout=5)
        return None if answer.content == b"x" * 1024 else answer

    Wait(30, 0.1, (requests.RequestException,)).until(f"{name} to answer", look)
