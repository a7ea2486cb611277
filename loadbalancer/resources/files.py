"""Files: what nginx serves by, from its folder and from the settings of the stack."""

from pathlib import Path

import pulumi

from loadbalancer.nginx import http_settings
from loadbalancer.providers.nginx_files import NginxFiles
from loadbalancer.resources.network import StackNetwork
from loadbalancer.resources.proxy import Proxy


def declare(
    folder: Path, proxy: Proxy, network: StackNetwork, url: pulumi.Input[str]
) -> NginxFiles:
    """Declare the files of the running nginx.

    Args:
        folder: the folder with nginx.conf.
        proxy: nginx.
        network: the network of the stack, with its settings.
        url: address of the public port.
    """

    def render(values: list[str]) -> dict[str, str]:
        return http_settings.render(network.settings, *values)

    settings = pulumi.Output.all(url, network.gateway).apply(render)
    return NginxFiles("nginx", container=proxy.container, path=folder, settings=settings)
