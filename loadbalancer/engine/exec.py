"""Commands and files in a running container."""

import io
import struct
import tarfile
import time
from collections.abc import Mapping, Sequence

import requests
from docker.errors import create_api_error_from_http_exception

from loadbalancer.engine.client import Handle, NotFound
from loadbalancer.engine.wait import Wait

_HEADER = struct.Struct(">4xI")
"""Header of each piece of output: one byte for the stream, three unused, then the length."""


def run(container: Handle, command: Sequence[str], *, user: str = "") -> tuple[int, str]:
    """Run a command to its end.

    Docker's SDK asks for an upgraded connection and reads on past a buffer that may already hold
    the beginning of the output, so it loses that now and then, and over a network often
    (docker-py, issue 3332). Without the upgrade Docker sends an ordinary response.

    Args:
        container: where to run it.
        command: the program and its arguments.
        user: user to run it as; by default the container's.

    Returns:
        Its exit code, and what it printed to both streams.

    Raises:
        APIError: when the container cannot run a command now.
        WaitTimeoutError: when Docker does not report its end.
    """
    client = container.client
    assert client is not None  # noqa: S101 - a container that came from an engine has one
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
    """Join the pieces of both streams in Docker's response, in their order."""
    pieces, at = [], 0
    while at + _HEADER.size <= len(stream):
        (length,) = _HEADER.unpack_from(stream, at)
        at += _HEADER.size
        pieces.append(stream[at : at + length])
        at += length
    return b"".join(pieces)


def read_folder(container: Handle, folder: str) -> dict[str, bytes]:
    """Read the files of a folder, by their paths in it; none where the folder does not exist."""
    try:
        chunks, _ = container.get_archive(f"{folder}/.")
    except NotFound:
        return {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        return {
            entry.name.removeprefix("./"): file.read()
            for entry in archive
            if (file := archive.extractfile(entry))
        }


def write_folder(container: Handle, folder: str, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that exists; folders inside it are created."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    container.put_archive(folder, buffer.getvalue())


def health(container: Handle) -> str:
    """Read the status of a container's health check; without one, that of the container.

    A container that does not run keeps the last result of its health check, which says nothing.
    """
    container.reload()
    state = container.attrs["State"]
    if state["Status"] != "running":
        return str(state["Status"])
    return str((state.get("Health") or {}).get("Status", "running"))


def recent_errors(container: Handle, since: int, lines: int = 20) -> str:
    """Read the newest lines of a container's standard error since a time (epoch seconds)."""
    found = container.logs(since=since, tail=lines, stdout=False)
    return bytes(found).decode(errors="replace")
