"""The stack: settings, ports, network, backends, proxy, files, route, outputs."""

from pathlib import Path

import pulumi

from loadbalancer import names
from loadbalancer.config.host_ports import ADMIN_BIND
from loadbalancer.nginx import shares
from loadbalancer.resources import backend, files, network, outputs, ports, route, stack
from loadbalancer.resources.proxy import Proxy, ProxyArgs

# The stack's name, checked settings and apps.
this_stack = stack.current(Path())
settings = this_stack.settings

# Ports of the host; 0 in the config means one that is free.
host_ports = ports.declare(this_stack)

# A network that nothing of any other stack is in.
stack_network = network.declare(this_stack)

# One backend an app, each listening on a port of its own inside the network.
listening_ports = names.listening_ports(this_stack.apps)
backends = backend.declare(this_stack.apps, stack_network, listening_ports, host_ports)

# nginx, which users reach; its admin port has the live page and the metrics, for this host only.
apps = list(backends.values())
proxy = Proxy("nginx", ProxyArgs(Path("nginx"), stack_network, host_ports, apps))

# nginx.conf, njs modules, the live page and the settings; they change in the running nginx.
url = outputs.url(settings.bind, host_ports.public)
nginx_files = files.declare(Path("nginx"), proxy, stack_network, url)

# The share of requests that each server gets; it changes in the running nginx.
route.declare(this_stack, proxy, nginx_files, backends, listening_ports)

pulumi.export("url", url)
pulumi.export("adminUrl", outputs.url(ADMIN_BIND, host_ports.admin))
pulumi.export("weights", settings.weights)
pulumi.export("percentages", shares.percentages(settings.weights))
pulumi.export("directUrls", outputs.direct_urls(settings.bind, host_ports.direct))
pulumi.export("containers", outputs.containers(proxy, backends))
