"""A small stack as desired, and as it is found without drift."""

from dataclasses import replace

from loadbalancer.drift.actual import Actual
from loadbalancer.drift.compare import compare
from loadbalancer.engine.container import Container, Limits, Port
from loadbalancer.nginx import upstream
from loadbalancer.nginx.upstream import Server
from loadbalancer.state.deployment import (
    Desired,
    DesiredContainer,
    DesiredFiles,
    DesiredImage,
    DesiredRoute,
)

PORT = Port("127.0.0.1", 8080, 8080)
APP = DesiredContainer("urn:app1", "id-app1", "lb-app1", "sha256:a1", {"lb-net": ()})
NGINX = DesiredContainer(
    "urn:nginx", "id-nginx", "lb-nginx", "sha256:b2", {"lb-net": ()}, frozenset({PORT})
)
LIMITS = Limits(256 * 1024**2, 256 * 1024**2, 1.0, "unless-stopped")
TEXT = upstream.render(
    [Server("app1", "lb-app1", 5001, 3), Server("app2", "lb-app2", 5002, 2)], {"app1": 6, "app2": 4}
)
DESIRED = Desired(
    url="http://127.0.0.1:8080",
    containers=(NGINX, APP),
    images=(DesiredImage("lb-net/apps/app1:12", "sha256:a1"),),
    networks={"lb-net": "n"},
    volumes=frozenset({"lb-route"}),
    route=DesiredRoute("id-nginx", TEXT),
    files=DesiredFiles("id-nginx", {"nginx.conf": "aa", "njs/record.js": "bb"}),
)
HEALTHY = Container(
    "id-app1", "lb-app1", "running", "healthy", "sha256:a1", networks=frozenset({"lb-net"})
)
FOUND = Actual(
    containers={
        "id-app1": HEALTHY,
        "id-nginx": replace(
            HEALTHY, id="id-nginx", name="lb-nginx", image="sha256:b2", ports=frozenset({PORT})
        ),
    },
    images={"lb-net/apps/app1:12": "sha256:a1"},
    networks={"bridge": "b", "lb-net": "n"},
    volumes=frozenset({"lb-route"}),
    route=TEXT,
    files={"nginx.conf": "aa", "njs/record.js": "bb"},
)


def differences(found: Actual, desired: Desired = DESIRED) -> dict[str, str]:
    return {row.name: row.difference for row in compare(desired, found) if row.difference}


def with_app(container: Container | None) -> Actual:
    containers = {**FOUND.containers, "id-app1": container}
    return replace(FOUND, containers={id_: one for id_, one in containers.items() if one})
