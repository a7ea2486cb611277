"""The route of a stack: the share of requests that each server of its backends gets."""

from collections.abc import Mapping

import pulumi

from loadbalancer.nginx import upstream
from loadbalancer.providers.nginx_files import NginxFiles
from loadbalancer.providers.route import Route
from loadbalancer.resources.backend import Backend
from loadbalancer.resources.proxy import Proxy
from loadbalancer.resources.stack import Stack


def declare(
    stack: Stack,
    proxy: Proxy,
    files: NginxFiles,
    backends: Mapping[str, Backend],
    ports: Mapping[str, int],
) -> Route:
    """Declare the route, which is applied after nginx's files.

    Args:
        stack: the stack, with the weight of each app.
        proxy: the nginx that the route is for.
        files: the files of that nginx.
        backends: the backend of each app.
        ports: port on which each app listens.
    """

    def render(servers: Mapping[str, list[str]]) -> str:
        addresses = {app: [(host, ports[app]) for host in hosts] for app, hosts in servers.items()}
        return upstream.split(stack.settings.weights, addresses)

    started = [one.handover for one in backends.values() if one.handover is not None]
    servers = pulumi.Output.all(**{app: backend.servers for app, backend in backends.items()})
    return Route(
        "route",
        container=proxy.container,
        config=servers.apply(render),
        settle=stack.settings.settle,
        opts=pulumi.ResourceOptions(depends_on=[files, *started]),
    )
