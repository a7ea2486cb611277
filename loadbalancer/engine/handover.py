"""Handover: a container takes the ports of the host that its predecessor publishes.

Two containers cannot publish the same port, but one that does not run publishes none. So the
successor is created beside its predecessor, and proven by a trial, before the predecessor stops. If
the successor does not start, the predecessor is started again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loadbalancer import names
from loadbalancer.config.host_ports import HostPort
from loadbalancer.engine import container, ports
from loadbalancer.engine.client import ENGINE_ERRORS, Client, Handle, NotFound
from loadbalancer.engine.readiness import wait_until_ready

_READY_TIMEOUT = 60.0
"""Seconds that a container may take to become healthy."""
_NANOSECONDS = 1_000_000_000


class HandoverError(RuntimeError):
    """A container did not take over; the message says which one serves, and why."""


def hand_over(client: Client, id_: str, *, grace: int) -> None:
    """Start a container in place of those of the same app that publish a port that it needs.

    Args:
        client: the engine that the containers run in.
        id_: ID of the successor, which exists and does not run.
        grace: seconds from the stop signal to SIGKILL of a predecessor.

    Raises:
        HandoverError: when the successor does not serve; its predecessors do again.
    """
    successor = client.containers.get(id_)
    if successor.status == "running":
        return
    predecessors = list(_predecessors(client, successor))
    names_ = ", ".join(str(one.name) for one in predecessors)
    if predecessors:
        try:
            _try(client, successor, set().union(*map(_host_ports, predecessors)))
        except (*ENGINE_ERRORS, RuntimeError) as error:
            raise HandoverError(f"{names_} keeps serving: {error}") from error
    stopped: list[Handle] = []
    try:
        for one in predecessors:
            stopped.append(one)
            one.stop(timeout=grace)
        successor.start()
        wait_until_ready(client, [str(successor.name)], timeout=_READY_TIMEOUT, settle=0)
    # Whatever the cause, such as Ctrl-C: without the predecessors nothing would answer.
    except BaseException as error:
        if not stopped:
            raise
        _put_back(client, successor, stopped, error)
        raise HandoverError(f"{names_} was started again and serves: {error}") from error


def _put_back(
    client: Client, successor: Handle, stopped: list[Handle], cause: BaseException
) -> None:
    try:
        successor.stop(timeout=0)
        for one in stopped:
            one.start()
        started = [str(one.name) for one in stopped]
        wait_until_ready(client, started, timeout=_READY_TIMEOUT, settle=0)
    except Exception as error:
        message = f"{cause}; and the container before could not be started again: {error}"
        raise HandoverError(message) from error


def _predecessors(client: Client, successor: Handle) -> Iterator[Handle]:
    """Find running containers that publish a port of the successor.

    They are of the same stack and app, or of a stack whose ports this update takes over.
    """
    network, app = (successor.labels.get(key) for key in (names.NETWORK, names.APP))
    needed, taken_over = _host_ports(successor), names.taken_over()
    for one in container.find(client):
        theirs = one.labels.get(names.NETWORK)
        same = theirs == network and one.labels.get(names.APP) == app and one.id != successor.id
        candidate = (same or theirs in taken_over) and not one.stopped
        if candidate and any(a.overlaps(b) for a in ports.published(one) for b in needed):
            yield client.containers.get(one.id)


def _host_ports(handle: Handle) -> set[HostPort]:
    """Read the ports of the host that a container publishes when it runs."""
    return set(_bound(handle.attrs["HostConfig"]["PortBindings"] or {}))


def _bound(bindings: dict[str, Any]) -> Iterator[HostPort]:
    for port in container.published(bindings):
        yield HostPort(port.ip, port.external)


def _try(client: Client, successor: Handle, held: set[HostPort]) -> None:
    """Run the successor's image beside the predecessor until it is healthy, and remove it.

    It has everything that the successor has, except for write access to volumes, network aliases,
    and the ports that the predecessor holds.
    """
    with _trial(client, successor, held) as trial:
        trial.start()
        name = str(trial.name)
        wait_until_ready(client, [name], timeout=_READY_TIMEOUT, settle=0, kept=False)


@contextmanager
def _trial(client: Client, successor: Handle, held: set[HostPort]) -> Iterator[Handle]:
    name = f"{successor.name}-trial"
    _remove(client, name)  # that of an update that was killed
    create: Any = client.api.create_container_from_config
    created = create(_trial_config(successor, held), name)
    try:
        yield client.containers.get(created["Id"])
    finally:
        _remove(client, name)


def _remove(client: Client, name: str) -> None:
    try:
        client.api.remove_container(name, v=True, force=True)
    except NotFound:
        return


def _trial_config(successor: Handle, held: set[HostPort]) -> dict[str, Any]:
    """Write the configuration of a container that differs from the successor as `_try` says."""
    attributes = successor.attrs
    host = attributes["HostConfig"]
    bindings = {
        key: [one for one in bound if not _is_held({key: [one]}, held)]
        for key, bound in (host["PortBindings"] or {}).items()
    }
    networks = attributes["NetworkSettings"]["Networks"]
    return {
        **{key: value for key, value in attributes["Config"].items() if key != "Hostname"},
        "HostConfig": {
            **host,
            "PortBindings": {key: bound for key, bound in bindings.items() if bound},
            "Binds": [f"{bind.removesuffix(':rw')}:ro" for bind in host["Binds"] or ()],
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": next(iter(networks)),
        },
    }


def _is_held(bindings: dict[str, Any], held: set[HostPort]) -> bool:
    return any(one.overlaps(other) for one in _bound(bindings) for other in held)
