"""The references by which states name the dynamic providers: they are frozen, see providers."""

import base64
import json
import pickle
import pickletools
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import ResourceProvider

from loadbalancer.providers.handover import HandoverProvider
from loadbalancer.providers.image_lifetime import ImageLifetimeProvider
from loadbalancer.providers.nginx_files import NginxFilesProvider
from loadbalancer.providers.port import PortProvider
from loadbalancer.providers.route import RouteProvider
from loadbalancer.state import deployment
from loadbalancer.state.deployment import DesiredImage

STATE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures/state-v1.json").read_text()
)["deployment"]
DYNAMIC = "pulumi-python:dynamic/loadbalancer:"
PATHS = {
    "Route": ("loadbalancer.providers.route", RouteProvider),
    "NginxFiles": ("loadbalancer.providers.nginx_files", NginxFilesProvider),
    "ImageLifetime": ("loadbalancer.providers.image_lifetime", ImageLifetimeProvider),
    "Port": ("loadbalancer.providers.port", PortProvider),
    "Handover": ("loadbalancer.providers.handover", HandoverProvider),
}


def strings(pickled: bytes) -> list[str]:
    """The text in a pickle: the module and the class, where it is a mere reference."""
    return [value for _, value, _ in pickletools.genops(pickled) if isinstance(value, str)]


@pytest.mark.parametrize("kind", PATHS)
def test_a_provider_is_pickled_by_reference_to_its_frozen_path(kind: str) -> None:
    module, provider = PATHS[kind]
    assert strings(pickle.dumps(provider())) == [module, f"{kind}Provider"]
    # As a secret it would not stand in the state as plain text.
    assert not provider.serialize_as_secret_always


@pytest.mark.parametrize("kind", PATHS)
def test_the_providers_of_a_v1_state_can_be_loaded(kind: str) -> None:
    found = [one for one in STATE["resources"] if one["type"] == DYNAMIC + kind]
    assert found
    for one in found:
        pickled = base64.b64decode(one["outputs"]["__provider"])
        provider = pickle.loads(pickled)  # noqa: S301 - of this repository
        assert isinstance(provider, ResourceProvider)
        assert type(provider) is PATHS[kind][1]


@pytest.mark.parametrize("kind", PATHS)
def test_a_v1_state_has_no_changes_for_the_inputs_that_it_has(kind: str) -> None:
    for one in STATE["resources"]:
        if one["type"] == DYNAMIC + kind:
            difference = PATHS[kind][1]().diff(one["id"], one["outputs"], one["inputs"])
            assert not difference.changes


def test_every_kind_of_dynamic_resource_is_known_here() -> None:
    kinds = {one["type"].removeprefix(DYNAMIC) for one in STATE["resources"]}
    assert {kind for kind in kinds if ":" not in kind} == PATHS.keys()


def test_a_v1_state_is_read() -> None:
    found = deployment.parse(STATE)
    assert found.url == "http://127.0.0.1:20001"
    assert sorted(one.name for one in found.containers) == [
        "loadbalancer-v1-app1-1-0000001",
        "loadbalancer-v1-app2-1-0000001",
        "loadbalancer-v1-nginx-0000001",
    ]
    image = DesiredImage("loadbalancer-v1-0000001/apps/app1:c510a7a8d4a0", "sha256:01")
    assert image in found.images
    assert found.networks == {"loadbalancer-v1-0000001": "network-id"}
    assert len(found.volumes) == 2
    assert found.route is not None
    assert found.files is not None
    assert found.route.container == found.files.container == "nginx-id"
    assert not found.undeleted
    assert not found.pending
