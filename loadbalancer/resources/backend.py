"""Backend: one app's image and containers."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from loadbalancer.config.apps import AppFolder
from loadbalancer.names import APP
from loadbalancer.resources import container, image
from loadbalancer.resources.network import Place

USER = "10001:10001"
_PERIOD = 100_000
"""Microseconds in which a container may use its quota of processor time (Docker's default)."""


@dataclass(frozen=True)
class BackendArgs:
    """What a backend is made of: its app, the port it listens on, and one of the host if any."""

    app: AppFolder
    place: Place
    port: int
    direct_port: pulumi.Input[int] | None


class Backend(pulumi.ComponentResource):
    """What answers for one app: its containers' names, and the servers nginx finds them by."""

    containers: pulumi.Output[list[str]]
    servers: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: BackendArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("loadbalancer:index:Backend", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        place, settings = args.place, args.place.settings
        labels = {**place.labels, APP: args.app.name}
        parameters = {"PYTHON_IMAGE": settings.base_images.python, "APP": args.app.name}
        built = image.build(
            name,
            repository=pulumi.Output.concat(place.network.name, "/apps/", args.app.name),
            context=args.app.context,
            content=args.app.content,
            parameters=parameters,
            labels=labels,
            opts=child,
        )
        # With a port of the host an app cannot run twice: its one container keeps its name in the
        # network, and the next app is not touched before the new container is healthy.
        alone = args.direct_port is not None
        published = [
            docker.ContainerPortArgs(internal=args.port, external=port, ip=str(settings.bind))
            for port in (args.direct_port,)
            if port is not None
        ]
        servers = [
            container.run(
                f"{place.prefix}-{args.app.name}-{number}",
                image=built,
                network=place.network,
                labels=labels,
                probe=args.app.probe,
                # The app ends by itself when the time is up; Docker's own end comes after that.
                grace=settings.drain + 5,
                published=published,
                aliases=[args.app.name] if alone else None,
                opts=child,
                wait=alone,
                wait_timeout=60 if alone else None,
                user=USER,
                envs=[
                    f"APP={args.app.name}",
                    f"GRACE_SECONDS={settings.drain}",
                    f"PORT={args.port}",
                ],
                memory=settings.limits.memory,
                # Without an equal limit of memory and swap every preview shows a change.
                memory_swap=settings.limits.memory,
                # `cpus` is read back in another form than it was given in, which shows as a change.
                cpu_period=_PERIOD,
                cpu_quota=round(settings.limits.cpus * _PERIOD),
            )
            for number in range(1, settings.replicas[args.app.name] + 1)
        ]
        self.containers = pulumi.Output.all(*(server.name for server in servers))
        self.servers = pulumi.Output.from_input([args.app.name]) if alone else self.containers
        self.register_outputs({"containers": self.containers, "servers": self.servers})


def declare(
    apps: Mapping[str, AppFolder],
    place: Place,
    ports: Mapping[str, int],
    direct_ports: Mapping[str, pulumi.Input[int]],
) -> dict[str, Backend]:
    """Declare the backend of each app; those with a port of the host follow one another.

    Args:
        apps: the folder of each app.
        place: where the containers go.
        ports: port on which each app listens.
        direct_ports: port of the host of each app that has one.
    """
    backends: dict[str, Backend] = {}
    alone: list[pulumi.Resource] = []
    for app, folder in apps.items():
        args = BackendArgs(folder, place, ports[app], direct_ports.get(app))
        after = list(alone) if app in direct_ports else []
        backends[app] = Backend(app, args, pulumi.ResourceOptions(depends_on=after))
        if app in direct_ports:
            alone.append(backends[app])
    return backends
