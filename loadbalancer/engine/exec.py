"""Running a command in a container, with everything that it prints."""

import struct
from collections.abc import Sequence

import requests
from docker.errors import create_api_error_from_http_exception
from docker.models.containers import Container

from loadbalancer.engine.wait import Wait

_HEADER = struct.Struct(">4xI")
"""What stands before each piece of output: which stream it is of, and how long it is."""


def run(container: Container, command: Sequence[str], *, user: str = "") -> tuple[int, str]:
    """Run a command to its end.

    Docker's SDK would have the connection upgraded and read on past a buffer, which may hold the
    beginning of the output already: it loses that now and then, and over a network often
    (docker-py, issue 3332). Not asked to upgrade, Docker sends an ordinary answer.

    Args:
        container: where to run it.
        command: the program and its arguments.
        user: who runs it; by default whoever the container runs as.

    Returns:
        Its exit code, and what it printed to either stream.

    Raises:
        APIError: when the container cannot run anything now.
        WaitTimeoutError: when Docker does not tell how it ended.
    """
    client = container.client
    assert client is not None  # noqa: S101 - one that was had from an engine has it
    api = client.api
    id_ = api.exec_create(container.id, list(command), user=user)["Id"]
    url = f"{api.base_url}/v{api.api_version}/exec/{id_}/start"
    answer = api.post(url, json={"Detach": False, "Tty": False}, timeout=api.timeout)
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)  # which raises it
    ended: list[int] = []

    def look() -> object:
        now = api.exec_inspect(id_)
        if now["Running"] or now["ExitCode"] is None:
            return "it runs"
        ended.append(now["ExitCode"])
        return None

    Wait().until(f"{command[0]} in container {container.name} to end", look)
    return ended[0], printed(answer.content).decode(errors="replace")


def printed(stream: bytes) -> bytes:
    """Take the pieces of both streams out of Docker's answer, in their order."""
    pieces, at = [], 0
    while at + _HEADER.size <= len(stream):
        (length,) = _HEADER.unpack_from(stream, at)
        at += _HEADER.size
        pieces.append(stream[at : at + length])
        at += length
    return b"".join(pieces)
