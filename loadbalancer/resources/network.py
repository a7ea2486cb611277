"""StackNetwork: the network of a stack, and what everything in it has in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from loadbalancer import names
from loadbalancer.config.model import Settings
from loadbalancer.resources.stack import Stack


@dataclass(frozen=True)
class StackNetwork:
    """A stack's network, its settings, and the labels and name prefix of everything in it.

    `name` is unique among all networks there have ever been on the host, so that labels and images
    that carry it belong to this stack alone. Connections of programs on the host come from
    `gateway`.
    """

    name: pulumi.Output[str]
    gateway: pulumi.Output[str]
    settings: Settings
    labels: Mapping[str, pulumi.Input[str]]
    prefix: str


def declare(stack: Stack) -> StackNetwork:
    """Declare the network of a stack."""
    network = docker.Network(
        stack.prefix,
        labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in stack.labels.items()],
    )
    labels: dict[str, pulumi.Input[str]] = {**stack.labels, names.NETWORK: network.name}
    gateway = network.ipam_configs.apply(_gateway)
    return StackNetwork(network.name, gateway, stack.settings, labels, stack.prefix)


def _gateway(ranges: Sequence[docker.outputs.NetworkIpamConfig] | None) -> str:
    """Find the gateway that Docker has given a network; empty if it has none."""
    return next((str(one.gateway) for one in ranges or () if one.gateway), "")
