"""The deployment of a stack: its resources as the last update left them in Pulumi's state."""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadbalancer.engine.container import Port
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError

_STACK = "pulumi:pulumi:Stack"
_CONTAINER = "docker:index/container:Container"
_IMAGE = "docker:index/remoteImage:RemoteImage"
_NETWORK = "docker:index/network:Network"
_VOLUME = "docker:index/volume:Volume"
_ROUTE = "pulumi-python:dynamic/loadbalancer:Route"
_FILES = "pulumi-python:dynamic/loadbalancer:NginxFiles"

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class DesiredContainer:
    """A container; `image` is the ID of the image that it should run.

    `networks` are the names of those that it should be connected to, each with its aliases there.
    """

    urn: str
    id: str
    name: str
    image: str
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: frozenset[Port] = frozenset()


@dataclass(frozen=True)
class DesiredImage:
    """An image: its name with the tag, and the ID that the name should point to."""

    name: str
    id: str


@dataclass(frozen=True)
class DesiredRoute:
    """The text of the route that the nginx of a container should serve by."""

    container: str
    text: str


@dataclass(frozen=True)
class DesiredFiles:
    """The digests of the files that the nginx of a container should serve by, by their paths."""

    container: str
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Desired:
    """A stack as its state describes it.

    `undeleted` are resources that an update replaced and could not delete, `pending` are
    operations that an update started and did not finish, and `known` are the IDs and names of all
    resources.
    """

    url: str = ""
    containers: tuple[DesiredContainer, ...] = ()
    images: tuple[DesiredImage, ...] = ()
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    route: DesiredRoute | None = None
    files: DesiredFiles | None = None
    undeleted: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def read(project: Project, stack: str) -> Desired:
    """Read what a stack's state describes, without selecting it. Errors are those of `load`."""
    return parse(load(project, stack))


def outputs(project: Project, stack: str) -> Mapping[str, Any]:
    """Read a stack's outputs, empty before its first update. Errors are those of `load`."""
    resources = load(project, stack).get("resources") or []
    return next((_outputs(one) for one in _of(_STACK, resources)), {})


def load(project: Project, stack: str) -> Mapping[str, Any]:
    """Load a stack's deployment, in the form of `pulumi stack export`.

    Of a file backend the checkpoint is read, which takes no Pulumi process. Secrets stay encrypted.

    Raises:
        StackNotFoundError: when the backend has no such stack.
        PulumiError: when Pulumi cannot export it.
    """
    if project.file_backend is None:
        exported = json.loads(Pulumi(project.folder).run("stack", "export", stack=stack))
        return exported.get("deployment") or {}
    path = project.file_backend / "stacks" / project.name / f"{stack.rpartition('/')[2]}.json"
    # Pulumi takes the newer one where a compressed one is there as well.
    found = [one for one in (path, path.with_suffix(".json.gz")) if one.exists()]
    if not found:
        raise StackNotFoundError(f"no stack named {stack!r} found")
    newest = max(found, key=lambda one: one.stat().st_mtime_ns)
    data = newest.read_bytes()
    text = gzip.decompress(data) if newest.suffix == ".gz" else data
    return json.loads(text)["checkpoint"].get("latest") or {}


def parse(deployment: Mapping[str, Any]) -> Desired:
    """Find in a deployment what the engine can be compared with."""
    every: list[Resource] = deployment.get("resources") or []
    current = [one for one in every if not one.get("delete")]
    # The image and the containers of an app, or of nginx, are children of one component.
    images = {one.get("parent"): _outputs(one)["imageId"] for one in _of(_IMAGE, current)}
    routes = [
        DesiredRoute(_outputs(one)["container"], _outputs(one)["config"])
        for one in _of(_ROUTE, current)
    ]
    files = [
        DesiredFiles(_outputs(one)["container"], _outputs(one)["files"])
        for one in _of(_FILES, current)
    ]
    return Desired(
        url=next((_outputs(one).get("url", "") for one in _of(_STACK, every)), ""),
        containers=tuple(
            _container(one, images.get(one.get("parent"))) for one in _of(_CONTAINER, current)
        ),
        images=tuple(
            DesiredImage(_outputs(one)["name"], _outputs(one)["imageId"])
            for one in _of(_IMAGE, current)
        ),
        networks=frozenset(_outputs(one)["name"] for one in _of(_NETWORK, current)),
        volumes=frozenset(_outputs(one)["name"] for one in _of(_VOLUME, current)),
        route=routes[0] if routes else None,
        files=files[0] if files else None,
        undeleted=tuple(_title(one) for one in every if one.get("delete") and one.get("id")),
        pending=tuple(
            f"{one['type']} {_title(one['resource'])}"
            for one in deployment.get("pending_operations") or []
        ),
        known=frozenset(
            str(name)
            for one in every
            for name in (one.get("id"), _outputs(one).get("name"), _outputs(one).get("imageId"))
            if name
        ),
    )


def _of(kind: str, resources: Iterable[Resource]) -> Iterable[Resource]:
    return (one for one in resources if one["type"] == kind)


def _outputs(resource: Resource) -> Mapping[str, Any]:
    return resource.get("outputs") or {}


def _title(resource: Resource) -> str:
    """Name a resource by its kind and name: "container loadbalancer-dev-app1-1-2ab8e4c"."""
    kind = str(resource["type"]).rpartition(":")[2].removeprefix("Remote").lower()
    name = _outputs(resource).get("name") or str(resource["urn"]).rpartition("::")[2]
    return f"{kind} {name}"


def _container(resource: Resource, image: str | None) -> DesiredContainer:
    values = _outputs(resource)
    return DesiredContainer(
        urn=resource["urn"],
        id=resource["id"],
        name=values["name"],
        image=image or values["image"],
        networks={
            one["name"]: tuple(one.get("aliases") or ())
            for one in values.get("networksAdvanced") or []
        },
        ports=frozenset(
            Port(one.get("ip", ""), one["external"], one["internal"], one.get("protocol", "tcp"))
            for one in values.get("ports") or []
        ),
    )
