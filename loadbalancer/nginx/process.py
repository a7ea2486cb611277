"""nginx as it runs in a container: its files, its workers, and a reload that costs no request."""

import io
import secrets
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from loadbalancer.engine import exec
from loadbalancer.engine.wait import Wait, WaitTimeoutError

ROUTE_FOLDER = "/etc/nginx/route"
"""Where the volume with the route is mounted; nginx.conf includes what is in it."""
FILES_FOLDER = "/etc/nginx/files"
"""Where the volume with nginx.conf and what belongs to it is mounted: a folder for each version."""
CURRENT = f"{FILES_FOLDER}/current"
"""Link to the version that nginx reads; its master was started with it."""

_GENERATION = "generation.conf"
_GENERATION_URL = "http://127.0.0.1:8081/generation"
_LINGER = 3.0
"""Seconds that old workers may take requests on open connections: a little more than nginx.conf's
keepalive_min_timeout."""
_TITLES = r"grep -a -H '' /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '"
"""Prints /proc/PID/cmdline:TITLE for each process. Docker's own list of them needs a `ps` on the
engine's machine, which a slim one lacks."""
_CURL = ("curl", "--silent", "--show-error", "--max-time", "5")


class NginxError(RuntimeError):
    """nginx did not take what it was given; the message holds nginx's own."""


class NginxProcess:
    """One running nginx, reached through the Docker engine alone, so over DOCKER_HOST as well."""

    def __init__(self, container: Container, wait: Wait | None = None) -> None:
        self._container = container
        self._wait = wait or Wait(timeout=30, forgives=(APIError,))

    def workers(self) -> list[str]:
        """List the processes that accept connections: not those that only finish old ones."""
        titles = self._processes()
        return [pid for pid, title in titles.items() if "shutting down" not in title]

    def _is_current(self) -> bool:
        """Tell whether nginx serves by what is in its folders.

        It does not when whoever changed that was killed before nginx had read it. One that does
        not run reads it when it starts.
        """
        try:
            code, served = self._fetch(_GENERATION_URL)
        except APIError:
            return True
        there = self._read(ROUTE_FOLDER).get(_GENERATION, b"").decode()
        return bool(code) or _generation(served) == there

    def _wait_until_healthy(self) -> None:
        """Wait for the healthcheck: Docker refuses to run anything in a container that restarts."""

        def look() -> object:
            self._container.reload()
            state = self._container.attrs["State"]
            status = state.get("Health", {}).get("Status", state["Status"])
            return None if status in {"healthy", "running"} else f"it is {status}"

        self._wait.until(f"nginx in container {self._container.name} to be healthy", look)

    def _test(self, folder: str = CURRENT) -> None:
        """Have nginx read the configuration of a folder without serving by it.

        Raises:
            NginxError: with what nginx says against it.
        """
        code, said = self._run("nginx", "-t", "-p", f"{folder}/", "-c", "nginx.conf")
        if code:
            raise NginxError(f"nginx refuses it: {said.replace(f'{folder}/', '')}")

    def _reload(self) -> set[str]:
        """Test what is in place, reload, and wait until the new workers serve by it.

        Returns the workers from before, which may still finish what they have.
        """
        generation = secrets.token_hex(8)
        self._write(ROUTE_FOLDER, {_GENERATION: _generation(generation).encode()})
        self._test()
        old_workers = set(self.workers())
        since = int(time.time())
        self._container.kill(signal="HUP")

        def look() -> object:
            workers = self.workers()
            if old_workers & set(workers):
                return "workers from before still accept connections"
            _, served = self._fetch(_GENERATION_URL)
            return None if served == generation and workers else f"nginx answered {served!r}"

        try:
            self._wait.until("nginx's new workers to serve", look)
        except WaitTimeoutError as error:
            logs = self._container.logs(since=since, tail=20, stdout=False)
            raise NginxError(f"{error}; nginx said: {logs.decode(errors='replace')}") from error
        return old_workers

    def _wait_until_let_go(self, old_workers: set[str]) -> None:
        """Wait until old workers take no request for a server that is about to go.

        They do for keepalive_min_timeout (nginx.conf), on connections that were open at the
        reload; then only requests that have begun keep them, which the server itself finishes.
        """

        def look() -> object:
            return "old workers still run" if old_workers & set(self._processes()) else None

        with suppress(WaitTimeoutError):
            Wait(timeout=_LINGER, interval=0.1, forgives=(APIError,)).until("old workers", look)

    def _fetch(self, url: str) -> tuple[int, str]:
        """Ask nginx from inside its container; returns curl's exit code and what it printed."""
        return self._run(*_CURL, "--fail", url)

    def _run(self, *command: str, user: str = "") -> tuple[int, str]:
        """Run a command in the container; returns its exit code and what it printed."""
        code, printed = exec.run(self._container, command, user=user)
        return code, printed.strip()

    def _processes(self) -> dict[str, str]:
        """Find the titles of all worker processes, by their IDs."""
        _, said = self._run("sh", "-c", _TITLES)
        rows = (line.removeprefix("/proc/").split("/cmdline:", 1) for line in said.splitlines())
        return {row[0]: row[1] for row in rows if row[-1].startswith("nginx: worker process")}

    def _read(self, folder: str) -> dict[str, bytes]:
        """Read the files of a folder, by their paths in it; none where there is no such folder."""
        try:
            chunks, _ = self._container.get_archive(f"{folder}/.")
        except NotFound:
            return {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            return {
                entry.name.removeprefix("./"): file.read()
                for entry in archive
                if (file := archive.extractfile(entry))
            }

    def _write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Put files into a folder that is there; folders in it are made."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
                archive.addfile(entry, io.BytesIO(data))
        self._container.put_archive(folder, buffer.getvalue())


def _generation(name: str) -> str:
    """Write the file by which nginx tells what it has read."""
    return f'map "" $generation {{ default {name}; }}\n'
