"""Place: where a stack's containers are, and what they have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from loadbalancer import names
from loadbalancer.config.model import Settings
from loadbalancer.resources.stack import Stack


@dataclass(frozen=True)
class Place:
    """The stack's network, the labels and the start of the name of everything in it."""

    settings: Settings
    network: docker.Network
    labels: Mapping[str, pulumi.Input[str]]
    prefix: str


def declare(stack: Stack) -> Place:
    """Declare a stack's network.

    The network's name is different for every network there ever is: labels and images that carry
    it are told from those of any other stack.
    """
    network = docker.Network(
        stack.prefix,
        labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in stack.labels.items()],
    )
    labels: dict[str, pulumi.Input[str]] = {**stack.labels, names.NETWORK: network.name}
    return Place(stack.settings, network, labels, stack.prefix)
