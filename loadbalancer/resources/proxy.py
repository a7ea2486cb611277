"""Proxy: nginx's image, the volumes that hold its files and its route, and its container."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pulumi
import pulumi_docker as docker

from loadbalancer import names
from loadbalancer.config import port_checks
from loadbalancer.config.host_ports import ADMIN_BIND, ADMIN_PORT, LISTENING_PORT
from loadbalancer.engine import ports
from loadbalancer.engine.container import Container
from loadbalancer.nginx.process import FILES_FOLDER, ROUTE_FOLDER, SPOOL_FOLDER
from loadbalancer.providers import nginx_files
from loadbalancer.providers.handover import Handover
from loadbalancer.resources import container, image
from loadbalancer.resources.network import StackNetwork
from loadbalancer.resources.ports import HostPorts

PROBE = ("curl", "--silent", "--fail", "--output", "/dev/null", "http://127.0.0.1:8081/healthz")


@dataclass(frozen=True)
class ProxyArgs:
    """What the proxy is made of: the folder that it is built from, and its ports of the host.

    The proxy takes over the ports of a stack whose state was lost after `backends` have started.
    """

    folder: Path
    network: StackNetwork
    ports: HostPorts
    backends: Sequence[pulumi.Resource] = ()


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
            source=nginx_files.image(args.folder),
            parameters={"NGINX_IMAGE": settings.base_images.nginx},
            labels=network.labels,
            opts=child,
        )
        # Volumes outlive the container: a new nginx starts with the last files and route. The third
        # one has room for bodies of requests.
        labels = [docker.VolumeLabelArgs(label=k, value=v) for k, v in network.labels.items()]
        volumes = {
            path: docker.Volume(f"{network.prefix}-{kind}", labels=labels, opts=child)
            for kind, path in (
                ("files", FILES_FOLDER),
                ("route", ROUTE_FOLDER),
                ("spool", SPOOL_FOLDER),
            )
        }
        running = container.run(
            f"{network.prefix}-{name}",
            image=built,
            network=network.name,
            labels=network.labels,
            probe=PROBE,
            grace=settings.drain,
            published=[
                *container.published(LISTENING_PORT, args.ports.public, settings.bind),
                *container.published(ADMIN_PORT, args.ports.admin, ADMIN_BIND),
            ],
            as_published=name in args.ports.published,
            opts=child,
            # As `docker images` shows it, for the metrics.
            envs=[built.apply(lambda id_: f"BUILD={id_.removeprefix('sha256:')[:12]}")],
            volumes=[
                docker.ContainerVolumeArgs(container_path=path, volume_name=volume.name)
                for path, volume in volumes.items()
            ],
        )
        grace = min(settings.drain, port_checks.LONGEST_GAP)
        after = list(args.backends) if names.taken_over() else []
        started = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=after))
        serving = Handover(name, running.id, grace=grace, opts=started)
        if args.ports.running:
            built.apply(partial(_announce, self, args, args.ports.running), run_with_unknowns=True)
        self.container = serving.container
        self.server = running.name
        self.register_outputs({"container": self.container, "server": self.server})


def _announce(proxy: Proxy, args: ProxyArgs, running: Container, image: object) -> None:
    """Say that nginx's container is replaced, and what to expect, if its image or a port changes.

    Args:
        proxy: the proxy that the message is about.
        args: what the proxy is made of.
        running: nginx's container as it is.
        image: ID of the new image; unknown in a preview that builds it.
    """
    settings, published = args.network.settings, ports.by_key([running])
    reasons = sorted(set(port_checks.changed_ports(settings, published)))
    if image != running.image:
        reasons.insert(0, "its image")
    if reasons:
        pulumi.log.info(port_checks.replacement_advice(settings, published, reasons), proxy)
