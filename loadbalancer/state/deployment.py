"""The deployment of a stack: its resources as the last update left them in Pulumi's state."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadbalancer.engine.container import CPU_PERIOD, Limits, Port
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi, StackNotFoundError

_STACK = "pulumi:pulumi:Stack"
_CONTAINER = "docker:index/container:Container"
_IMAGE = "docker:index/remoteImage:RemoteImage"
_NETWORK = "docker:index/network:Network"
_VOLUME = "docker:index/volume:Volume"
_ROUTE = "pulumi-python:dynamic/loadbalancer:Route"
_FILES = "pulumi-python:dynamic/loadbalancer:NginxFiles"
_MIB = 1024 * 1024

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class DesiredContainer:
    """A container; `image` is the ID of the image that it should run.

    `networks` are the names of those that it should be connected to, each with its aliases there.
    `volumes` are the names of its volumes, by their paths in it.
    """

    urn: str
    id: str
    name: str
    image: str
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: frozenset[Port] = frozenset()
    limits: Limits = field(default_factory=Limits)
    volumes: Mapping[str, str] = field(default_factory=dict)


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
class RecordedNetwork:
    """A network: the name of its resource, the engine's name for it, and its labels."""

    resource: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """A stack as its state describes it.

    `undeleted` are resources that an update replaced and could not delete, `pending` are
    operations that an update started and did not finish, and `known` are the IDs and names of all
    resources. `networks` are the IDs of networks by their names; `recorded` are all networks of
    the state, also those that are still to be deleted.
    """

    url: str = ""
    admin_url: str = ""
    containers: tuple[DesiredContainer, ...] = ()
    images: tuple[DesiredImage, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    route: DesiredRoute | None = None
    files: DesiredFiles | None = None
    undeleted: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    recorded: tuple[RecordedNetwork, ...] = field(default=(), compare=False)


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
    # Pulumi takes the newer one where a compressed one is there as well.
    found = project.checkpoints(stack)
    if not found:
        raise StackNotFoundError(f"no stack named {stack!r} found", stack=stack)
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
        admin_url=next((_outputs(one).get("adminUrl", "") for one in _of(_STACK, every)), ""),
        containers=tuple(
            _container(one, images.get(one.get("parent"))) for one in _of(_CONTAINER, current)
        ),
        images=tuple(
            DesiredImage(_outputs(one)["name"], _outputs(one)["imageId"])
            for one in _of(_IMAGE, current)
        ),
        networks={_outputs(one)["name"]: str(one["id"]) for one in _of(_NETWORK, current)},
        volumes=frozenset(_outputs(one)["name"] for one in _of(_VOLUME, current)),
        route=routes[0] if routes else None,
        files=files[0] if files else None,
        undeleted=tuple(_title(one) for one in every if one.get("delete") and one.get("id")),
        pending=tuple(
            f"{one['type']} {_title(one['resource'])}"
            for one in deployment.get("pending_operations") or []
        ),
        recorded=tuple(recorded_networks(every)),
        known=frozenset(
            str(name)
            for one in every
            for name in (one.get("id"), _outputs(one).get("name"), _outputs(one).get("imageId"))
            if name
        ),
    )


def recorded_networks(resources: Iterable[Resource]) -> Iterator[RecordedNetwork]:
    """Find the networks among the resources of a state, each with its URN, type and outputs."""
    for one in _of(_NETWORK, resources):
        outputs = _outputs(one)
        labels = {str(each["label"]): str(each["value"]) for each in outputs.get("labels") or ()}
        if outputs.get("name"):
            yield RecordedNetwork(_resource_name(one), str(outputs["name"]), labels)


def _of(kind: str, resources: Iterable[Resource]) -> Iterable[Resource]:
    return (one for one in resources if one["type"] == kind)


def _outputs(resource: Resource) -> Mapping[str, Any]:
    return resource.get("outputs") or {}


def _resource_name(resource: Resource) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def _title(resource: Resource) -> str:
    """Name a resource by its kind and name: "container loadbalancer-dev-app1-1-2ab8e4c"."""
    kind = str(resource["type"]).rpartition(":")[2].removeprefix("Remote").lower()
    name = _outputs(resource).get("name") or _resource_name(resource)
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
        limits=_limits(values),
        volumes={
            one["containerPath"]: one["volumeName"]
            for one in values.get("volumes") or []
            if one.get("volumeName")
        },
    )


def _limits(values: Mapping[str, Any]) -> Limits:
    quota, period = values.get("cpuQuota") or 0, values.get("cpuPeriod") or CPU_PERIOD
    return Limits(
        memory=(values.get("memory") or 0) * _MIB,
        memory_swap=max(values.get("memorySwap") or 0, 0) * _MIB,
        cpus=quota / period if quota else float(values.get("cpus") or 0),
        restart=values.get("restart") or "no",
    )
