"""StackNetwork: the network of a stack, and what everything in it has in common."""

from collections.abc import Mapping
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
    that carry it belong to this stack alone.
    """

    name: pulumi.Output[str]
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
    return StackNetwork(network.name, stack.settings, labels, stack.prefix)
