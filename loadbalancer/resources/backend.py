"""Backend: one app's image and containers."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from loadbalancer.config import units
from loadbalancer.config.apps import AppFolder
from loadbalancer.names import APP
from loadbalancer.providers.handover import Handover
from loadbalancer.resources import container, image
from loadbalancer.resources.network import StackNetwork
from loadbalancer.resources.ports import HostPorts

USER = "10001:10001"
_PERIOD = 100_000
"""Microseconds in which a container may use its quota of processor time (Docker's default)."""
_ADDED_HEADER = 16_384
"""Bytes that nginx's own fields may add to the header of a request."""


@dataclass(frozen=True)
class BackendArgs:
    """What a backend is made of.

    `port` is the one that the app listens on, `direct_port` one of the host that leads there, and
    `as_published` tells whether the app's container publishes that already.
    """

    app: AppFolder
    network: StackNetwork
    port: int
    direct_port: pulumi.Input[int] | None
    as_published: bool


class Backend(pulumi.ComponentResource):
    """The containers of one app, by name, and the servers by which nginx finds them.

    `handover` starts the container of an app that has a port of the host.
    """

    containers: pulumi.Output[list[str]]
    servers: pulumi.Output[list[str]]
    handover: Handover | None

    def __init__(
        self, name: str, args: BackendArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("loadbalancer:index:Backend", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        network, settings = args.network, args.network.settings
        app = settings.app(args.app.name)
        labels = {**network.labels, APP: args.app.name}
        built = image.build(
            name,
            repository=pulumi.Output.concat(network.name, "/apps/", args.app.name),
            source=args.app.source,
            parameters={"PYTHON_IMAGE": settings.base_images.python, "APP": args.app.name},
            labels=labels,
            opts=child,
        )
        # Two containers cannot share a port of the host. So an app that has one runs alone: its
        # one container keeps its name in the network, and the next app is not changed before the
        # new container is healthy.
        port = args.direct_port
        # As long as what nginx lets through: four lines of this size.
        head_bytes = 4 * units.parse_header_size(settings.http.header_size) + _ADDED_HEADER
        alone = port is not None
        published = [] if port is None else container.published(args.port, port, settings.bind)
        servers = [
            container.run(
                f"{network.prefix}-{args.app.name}-{number}",
                image=built,
                network=network.name,
                labels=labels,
                probe=args.app.probe,
                # The app ends by itself after `drain` seconds; Docker kills it only after that.
                grace=settings.drain + 5,
                published=published,
                as_published=args.as_published,
                aliases=[args.app.name] if alone else None,
                opts=child,
                user=USER,
                envs=[
                    f"APP={args.app.name}",
                    f"GRACE_SECONDS={settings.drain}",
                    f"HEAD_BYTES={head_bytes}",
                    f"PORT={args.port}",
                    f"REQUEST_LOG={app.request_log}",
                    f"THREADS={app.threads}",
                    f"WORKERS={app.workers}",
                ],
                memory=app.limits.memory,
                # Without an equal limit of memory and swap every preview shows a change.
                memory_swap=app.limits.memory,
                # `cpus` is read back in another form than it was given, which shows as a change.
                cpu_period=_PERIOD,
                cpu_quota=round(app.limits.cpus * _PERIOD),
            )
            for number in range(1, app.replicas + 1)
        ]
        self.containers = pulumi.Output.all(*(server.name for server in servers))
        self.servers = pulumi.Output.from_input([args.app.name]) if alone else self.containers
        self.handover = (
            Handover(name, servers[0].id, grace=settings.drain + 5, opts=child) if alone else None
        )
        self.register_outputs({"containers": self.containers, "servers": self.servers})


def declare(
    apps: Mapping[str, AppFolder],
    network: StackNetwork,
    ports: Mapping[str, int],
    host_ports: HostPorts,
) -> dict[str, Backend]:
    """Declare the backend of each app; those with a port of the host change one after another.

    Args:
        apps: the folder of each app.
        network: the network of the containers.
        ports: port on which each app listens.
        host_ports: the ports of the host, with those of single apps.
    """
    backends: dict[str, Backend] = {}
    alone: list[pulumi.Resource] = []
    for app, folder in apps.items():
        direct, published = host_ports.direct.get(app), app in host_ports.published
        args = BackendArgs(folder, network, ports[app], direct, published)
        after = [] if direct is None else list(alone)
        backends[app] = Backend(app, args, pulumi.ResourceOptions(depends_on=after))
        if direct is not None:
            alone.append(backends[app])
    return backends
