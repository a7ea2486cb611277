"""The options that every container of a stack has: few rights, a healthcheck, labels."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pulumi
import pulumi_docker as docker

from loadbalancer.config import host_ports
from loadbalancer.resources.healthcheck import TIMEOUT, healthcheck_command

LOG_OPTIONS = {"mode": "non-blocking", "max-buffer-size": "4m"}
"""A program goes on when the engine is slow to store its output; what does not fit is dropped."""


def run(
    name: str,
    *,
    image: pulumi.Input[str],
    network: pulumi.Input[str],
    labels: Mapping[str, pulumi.Input[str]],
    probe: Sequence[str] | None,
    grace: int,
    published: Sequence[docker.ContainerPortArgs] = (),
    as_published: bool = False,
    aliases: Sequence[str] | None = None,
    opts: pulumi.ResourceOptions,
    **options: Any,
) -> docker.Container:
    """Declare a container; the route waits until it is healthy before it sends requests there.

    It is replaced new before old. One with ports of the host, which two cannot share, is created
    without being started; a Handover starts it.

    Args:
        name: the resource's name; the container's own gets a suffix that is never used again.
        image: ID of the image to run.
        network: name of the network to join; others find the container there by its name.
        labels: labels of the container.
        probe: command that succeeds when the container is healthy; None leaves the healthcheck to
            the image.
        grace: seconds from SIGTERM to SIGKILL when the container is stopped.
        published: ports of the host that lead to the container.
        as_published: whether it publishes exactly these already. The engine lists the addresses of
            one port in an order of its own, which shows as a change after a refresh.
        aliases: further names by which others find the container in the network.
        opts: Pulumi's options.
        options: further arguments of docker.Container.
    """
    return docker.Container(
        name,
        image=image,
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network, aliases=aliases)],
        labels=[docker.ContainerLabelArgs(label=key, value=labels[key]) for key in sorted(labels)],
        ports=list(published) or None,
        read_only=True,
        tmpfs={"/tmp": "mode=1777,size=64m"},  # noqa: S108 - inside the container
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges"],
        log_driver="local",
        log_opts=LOG_OPTIONS,
        restart="unless-stopped",
        start=not published,
        # Of one that a Handover starts, Pulumi would ask for a change: it does not run at first.
        must_run=not published,
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=healthcheck_command(probe),
            interval="1s",
            timeout=TIMEOUT,
            retries=5,
            start_period="30s",
        )
        if probe
        else None,
        destroy_grace_seconds=grace,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # The provider's default for ports, and with it an old one that is gone too early.
                delete_before_replace=False,
                # A changed healthcheck and a container that could not be started look unchanged
                # to the provider.
                replace_on_changes=["healthcheck", "#initerror"],
                ignore_changes=["ports"] if as_published else None,
            ),
        ),
        **options,
    )


def published(
    internal: int, external: pulumi.Input[int], bind: IPv4Address | IPv6Address
) -> list[docker.ContainerPortArgs]:
    """Publish a port of a container on an address of the host, `::` on both families."""
    return [
        docker.ContainerPortArgs(internal=internal, external=external, ip=ip)
        for ip in host_ports.addresses(bind)
    ]
