"""What a stack's state says that there should be on the engine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi import automation

_CONTAINER = "docker:index/container:Container"
_IMAGE = "docker:index/remoteImage:RemoteImage"
_NETWORK = "docker:index/network:Network"
_VOLUME = "docker:index/volume:Volume"
_ROUTE = "pulumi-python:dynamic/loadbalancer:Route"
_FILES = "pulumi-python:dynamic/loadbalancer:NginxFiles"

Resource = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Port:
    """A port of the host that leads to one of a container; `protocol` is tcp or udp."""

    ip: str
    external: int
    internal: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.external}" + ("" if self.protocol == "tcp" else f"/{self.protocol}")


@dataclass(frozen=True)
class Container:
    """A container; `urn` is what Pulumi calls it, `image` the ID of the image it should run.

    `networks` are the names of those it should be in, each with its other names in there.
    """

    urn: str
    id: str
    name: str
    image: str
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: frozenset[Port] = frozenset()


@dataclass(frozen=True)
class Image:
    """An image: its name with the tag, and the ID that the name should lead to."""

    name: str
    id: str


@dataclass(frozen=True)
class Route:
    """The text that should be in force in the nginx of a container."""

    container: str
    text: str


@dataclass(frozen=True)
class Files:
    """The digests of the files that the nginx of a container should serve by, by their paths."""

    container: str
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Declared:
    """A stack as its state has it.

    `replaced` are things that an update has replaced and could not remove, `unfinished` are
    operations that an update began, and `known` are the IDs and names of everything.
    """

    url: str = ""
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    route: Route | None = None
    files: Files | None = None
    replaced: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def read(workspace: automation.Workspace, stack: str) -> Declared:
    """Read a stack's state, without selecting the stack and without running the program.

    Raises:
        StackNotFoundError: when the backend has no such stack.
    """
    return parse(workspace.export_stack(stack).deployment or {})


def parse(deployment: Mapping[str, Any]) -> Declared:
    """Find in an exported state what the engine can be compared with; pure."""
    every: list[Resource] = deployment.get("resources") or []
    current = [one for one in every if not one.get("delete")]
    # An app's or nginx's image and its containers are children of one component.
    images = {one.get("parent"): _outputs(one)["imageId"] for one in _of(_IMAGE, current)}
    routes = [
        Route(_outputs(one)["container"], _outputs(one)["config"]) for one in _of(_ROUTE, current)
    ]
    files = [
        Files(_outputs(one)["container"], _outputs(one)["files"]) for one in _of(_FILES, current)
    ]
    return Declared(
        url=next((_outputs(one).get("url", "") for one in _of("pulumi:pulumi:Stack", every)), ""),
        containers=tuple(
            _container(one, images.get(one.get("parent"))) for one in _of(_CONTAINER, current)
        ),
        images=tuple(
            Image(_outputs(one)["name"], _outputs(one)["imageId"]) for one in _of(_IMAGE, current)
        ),
        networks=frozenset(_outputs(one)["name"] for one in _of(_NETWORK, current)),
        volumes=frozenset(_outputs(one)["name"] for one in _of(_VOLUME, current)),
        route=routes[0] if routes else None,
        files=files[0] if files else None,
        replaced=tuple(_title(one) for one in every if one.get("delete") and one.get("id")),
        unfinished=tuple(
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
    """Name a resource as people do: "container loadbalancer-dev-app1-1-2ab8e4c"."""
    kind = str(resource["type"]).rpartition(":")[2].removeprefix("Remote").lower()
    name = _outputs(resource).get("name") or str(resource["urn"]).rpartition("::")[2]
    return f"{kind} {name}"


def _container(resource: Resource, image: str | None) -> Container:
    outputs = _outputs(resource)
    return Container(
        urn=resource["urn"],
        id=resource["id"],
        name=outputs["name"],
        image=image or outputs["image"],
        networks={
            one["name"]: tuple(one.get("aliases") or ())
            for one in outputs.get("networksAdvanced") or []
        },
        ports=frozenset(
            Port(one.get("ip", ""), one["external"], one["internal"], one.get("protocol", "tcp"))
            for one in outputs.get("ports") or []
        ),
    )
