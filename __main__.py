"""The stack: settings, network, backends, proxy, route, outputs."""

from pathlib import Path

import pulumi

from loadbalancer import names
from loadbalancer.config.model import ADMIN_BIND
from loadbalancer.nginx import shares
from loadbalancer.providers import port
from loadbalancer.providers.nginx_files import NginxFiles
from loadbalancer.providers.route import Route, route_config
from loadbalancer.resources import backend, network, outputs, stack
from loadbalancer.resources.proxy import Proxy, ProxyArgs

this = stack.current(Path())
settings = this.settings

# Ports of the host; 0 in the config means one that is free.
public_port = port.chosen("port", settings.port, settings.bind)
admin_port = port.chosen("adminPort", settings.admin_port, ADMIN_BIND)
direct_ports = {
    app: port.chosen(f"directPorts.{app}", number, settings.bind)
    for app, number in settings.direct_ports.items()
}

# A network of the stack's own, in which everything is.
here = network.declare(this)

# One backend an app, each listening on a port of its own.
ports = names.listening_ports(this.apps)
backends = backend.declare(this.apps, here, ports, direct_ports)

# The only thing that users reach; its admin port shows the split to those on this host.
proxy = Proxy("nginx", ProxyArgs(Path("nginx"), here, public_port, admin_port))

# What nginx does with a request: changes in place, as the route does.
files = NginxFiles("nginx", container=proxy.container, path=Path("nginx"))

# Who gets which share.
Route(
    "route",
    container=proxy.container,
    config=route_config(settings.weights, ports, backends),
    settle=settings.settle,
    opts=pulumi.ResourceOptions(depends_on=[files]),
)

pulumi.export("url", outputs.url(settings.bind, public_port))
pulumi.export("adminUrl", outputs.url(ADMIN_BIND, admin_port))
pulumi.export("weights", settings.weights)
pulumi.export("percentages", shares.percentages(settings.weights))
pulumi.export("directUrls", outputs.direct_urls(settings.bind, direct_ports))
pulumi.export("containers", outputs.containers(proxy, backends))
