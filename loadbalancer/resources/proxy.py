"""Proxy: nginx's image, the volumes that hold its files and its route, and its container."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

from loadbalancer.config.model import ADMIN_BIND
from loadbalancer.nginx.process import FILES_FOLDER, ROUTE_FOLDER
from loadbalancer.providers.nginx_files import IMAGE
from loadbalancer.resources import container, image
from loadbalancer.resources.network import StackNetwork
from loadbalancer.resources.ports import HostPorts

LISTENING_PORT, ADMIN_PORT = 8080, 9113
PROBE = ("curl", "--silent", "--fail", "--output", "/dev/null", "http://127.0.0.1:8081/healthz")


@dataclass(frozen=True)
class ProxyArgs:
    """What the proxy is made of: the folder that it is built from, and its ports of the host."""

    folder: Path
    network: StackNetwork
    ports: HostPorts


class Proxy(pulumi.ComponentResource):
    """The nginx that users reach; `container` is the ID of its container, `server` the name."""

    container: pulumi.Output[str]
    server: pulumi.Output[str]

    def __init__(
        self, name: str, args: ProxyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("loadbalancer:index:Proxy", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        network, settings = args.network, args.network.settings
        built = image.build(
            name,
            repository=pulumi.Output.concat(network.name, "/", name),
            context=args.folder,
            content=[args.folder / part for part in IMAGE],
            parameters={"NGINX_IMAGE": settings.base_images.nginx},
            labels=network.labels,
            opts=child,
        )
        # Volumes outlive the container: a new nginx starts with the last files and route.
        labels = [docker.VolumeLabelArgs(label=k, value=v) for k, v in network.labels.items()]
        volumes = {
            path: docker.Volume(f"{network.prefix}-{kind}", labels=labels, opts=child)
            for kind, path in (("files", FILES_FOLDER), ("route", ROUTE_FOLDER))
        }
        running = container.run(
            f"{network.prefix}-{name}",
            image=built,
            network=network.name,
            labels=network.labels,
            probe=PROBE,
            grace=settings.drain,
            published=[
                docker.ContainerPortArgs(
                    internal=LISTENING_PORT, external=args.ports.public, ip=str(settings.bind)
                ),
                docker.ContainerPortArgs(
                    internal=ADMIN_PORT, external=args.ports.admin, ip=str(ADMIN_BIND)
                ),
            ],
            opts=child,
            # As `docker images` shows it, for the metrics.
            envs=[built.apply(lambda id_: f"BUILD={id_.removeprefix('sha256:')[:12]}")],
            volumes=[
                docker.ContainerVolumeArgs(container_path=path, volume_name=volume.name)
                for path, volume in volumes.items()
            ],
        )
        self.container = running.id
        self.server = running.name
        self.register_outputs({"container": self.container, "server": self.server})
