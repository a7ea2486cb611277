"""Stacks of tests on this host: their names, and what is left of them.

Every stack of a run of pytest is named `test-RUN-...`, and its things carry that name as a label.
Whatever ends a run, they are found: docker ps --filter name=loadbalancer-test-
"""

import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from loadbalancer import engine
from loadbalancer.names import STACK

RUN = "LOADBALANCER_TEST_RUN"
"""Variable with the name of this run of pytest, the same in all its workers."""


def begin_run() -> None:
    """Give this run a name, if it has none; pytest does so before it starts its workers."""
    os.environ.setdefault(RUN, secrets.token_hex(2))


def _prefix() -> str:
    begin_run()  # for a program that is not pytest
    return f"test-{os.environ[RUN]}-"


def new_stack_name() -> str:
    """Return a name that no other stack has."""
    return _prefix() + uuid.uuid4().hex[:8]


def containers(client: DockerClient, stack: str) -> list[Container]:
    """List every container with a stack's label, running or not."""
    filters: dict[str, str | list[str] | bool] = {"label": f"{STACK}={stack}"}
    return client.containers.list(all=True, ignore_removed=True, filters=filters)


def find(client: DockerClient, stack: str) -> list[str]:
    """List what carries a stack's label, and the images that carry its name."""
    found = [f"{kind} {one.id}" for kind, one in _labelled(client, stack)]
    # As the engine lists them: to look at one again fails where another test has removed it.
    tags = [tag for image in client.api.images() for tag in image["RepoTags"] or ()]
    return found + [f"image {tag}" for tag in tags if stack in tag]


def remove(client: DockerClient, stack: str) -> None:
    """Remove everything that carries a stack's label."""
    for kind, one in _labelled(client, stack):
        try:
            if kind == "image":
                client.images.remove(str(one.id), force=True)
            elif kind == "network":
                one.remove()
            else:
                one.remove(force=True)
        except NotFound:
            continue  # it went with another, or its own removal was under way


def remove_run() -> list[str]:
    """Remove what stacks of this run have left; returns their names.

    Each stack removes itself at its end; this is for a worker that ended before that. Without an
    engine there is nothing to remove.
    """
    with suppress(engine.EngineError):
        client = engine.connect()
        stacks = sorted({name for name in _stacks(client) if name.startswith(_prefix())})
        for stack in stacks:
            remove(client, stack)
        return stacks
    return []


def _labelled(client: DockerClient, stack: str) -> Iterator[tuple[str, Any]]:
    """Find everything with the label, in an order in which it can be removed."""
    label: dict[str, str | list[str] | bool] = {"label": f"{STACK}={stack}"}
    for container in containers(client, stack):
        yield "container", container
    for network in client.networks.list(filters=label):
        yield "network", network
    for volume in client.volumes.list(filters=label):
        yield "volume", volume
    for image in client.images.list(filters=label):
        yield "image", image


def _stacks(client: DockerClient) -> Iterator[str]:
    """Name the stacks of everything on this host that carries the label of any."""
    label = {"label": [STACK]}
    lists = (
        client.api.containers(all=True, filters=label),
        client.api.networks(filters=label),
        (client.api.volumes(filters=label) or {}).get("Volumes") or [],
        client.api.images(filters=label),
    )
    for one in (one for found in lists for one in found):
        if stack := (one.get("Labels") or {}).get(STACK):
            yield str(stack)
