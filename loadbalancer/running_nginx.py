"""The nginx that runs in a container: read its route, change it without losing a request."""

import io
import json
import secrets
import tarfile
import time
from contextlib import suppress
from functools import partial

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from loadbalancer.upstream import STAGING_PORT, addresses, serving, staged, table
from loadbalancer.waiting import Wait, WaitTimeoutError

ROUTE_FOLDER = "/etc/nginx/route"
"""Where the volume with the route is mounted; nginx.conf includes what is in it."""

_ROUTE, _TABLE, _GENERATION = "route.conf", "route.json", "generation.conf"
_GENERATION_URL = "http://127.0.0.1:8081/generation"
_LINGER = 3.0
"""Seconds that old workers may take requests on open connections: a little more than nginx.conf's
keepalive_min_timeout."""
_TITLES = r"grep -a -H '' /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '"
"""Prints /proc/PID/cmdline:TITLE for each process. Docker's own list of them needs a `ps` on the
engine's machine, which a slim one lacks."""
_CURL = ("curl", "--silent", "--show-error", "--max-time", "5")


class RouteError(RuntimeError):
    """nginx did not take a route; the message holds nginx's own."""


class RunningNginx:
    """One running nginx, reached through the Docker engine alone, so over DOCKER_HOST as well."""

    def __init__(self, container: Container, wait: Wait | None = None) -> None:
        self._container = container
        self._wait = wait or Wait(timeout=30, forgives=(APIError,))

    def route(self) -> str:
        """Read the text of the route that is really there; empty if there is none."""
        try:
            chunks, _ = self._container.get_archive(f"{ROUTE_FOLDER}/{_ROUTE}")
        except NotFound:
            return ""
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            file = archive.extractfile(_ROUTE)
            return file.read().decode() if file else ""

    def serves(self) -> bool:
        """Tell whether the route leads to any server at all."""
        return serving(self.route())

    def newcomers(self, text: str) -> list[str]:
        """List the servers (`host:port`) of a text that nginx has not met yet."""
        return sorted(addresses(text) - addresses(self.route()))

    def apply(self, text: str) -> None:
        """Make nginx serve by this route, and come back only when all its workers do.

        Servers that nginx has not met yet are first added without a share, and must answer their
        health probe through nginx; only then does the route change. Whatever fails, the route
        that was there before serves on.

        Raises:
            RouteError: with nginx's own message, or with what was waited for in vain.
        """
        self._wait_until_healthy()
        before = self.route()
        newcomers = self.newcomers(text)
        try:
            introduction = staged(before, newcomers) if newcomers and serving(before) else None
            if introduction:
                self._switch({_ROUTE: introduction})
                self._wait_until_reachable(newcomers)
            old_workers = self._switch(_files(text))
            if addresses(before) - addresses(text):
                self._wait_until_let_go(old_workers)
        except (RouteError, WaitTimeoutError, APIError) as error:
            self._put_back(before, error)
            raise RouteError(f"the route was not changed: {error}") from error

    def _put_back(self, before: str, cause: Exception) -> None:
        try:
            self._switch(_files(before))
        except (RouteError, WaitTimeoutError, APIError) as error:
            message = f"{cause}; and the route before could not be put back: {error}"
            raise RouteError(message) from error

    def _wait_until_healthy(self) -> None:
        """Wait for the healthcheck: Docker refuses to run anything in a container that restarts."""

        def look() -> object:
            self._container.reload()
            state = self._container.attrs["State"]
            status = state.get("Health", {}).get("Status", state["Status"])
            return None if status in {"healthy", "running"} else f"it is {status}"

        self._wait.until(f"nginx in container {self._container.name} to be healthy", look)

    def _switch(self, files: dict[str, str]) -> set[str]:
        """Put files in place, test them, reload, and wait until the new workers serve by them.

        Returns the workers from before, which may still finish what they have.
        """
        generation = secrets.token_hex(8)
        self._write({**files, _GENERATION: f'map "" $generation {{ default {generation}; }}\n'})
        code, output = self._run("nginx", "-t")
        if code:
            raise RouteError(f"nginx refuses it: {output}")
        old_workers = set(self.workers())
        since = int(time.time())
        self._container.kill(signal="HUP")

        def look() -> object:
            workers = self.workers()
            if old_workers & set(workers):
                return "workers with the route before still accept connections"
            served = self._fetch(_GENERATION_URL)
            return None if served == generation and workers else f"nginx answered {served!r}"

        try:
            self._wait.until("nginx's new workers to serve", look)
        except WaitTimeoutError as error:
            logs = self._container.logs(since=since, tail=20, stdout=False)
            raise RouteError(f"{error}; nginx said: {logs.decode(errors='replace')}") from error
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

    def _wait_until_reachable(self, newcomers: list[str]) -> None:
        for number, address in enumerate(newcomers):
            url = f"http://127.0.0.1:{STAGING_PORT}/{number}"
            what = f"{address} to answer its health probe through nginx"
            self._wait.until(what, partial(self._fetch_problem, url))

    def _fetch_problem(self, url: str) -> object:
        code, output = self._run(*_CURL, "--fail", "--output", "/dev/null", url)
        return output if code else None

    def _fetch(self, url: str) -> str:
        return self._run(*_CURL, url)[1]

    def _run(self, *command: str) -> tuple[int, str]:
        """Run a command in the container; returns its exit code and what it printed."""
        code, output = self._container.exec_run(list(command))
        return int(code or 0), bytes(output).decode(errors="replace").strip()  # type: ignore[arg-type]

    def workers(self) -> list[str]:
        """List the processes that accept connections: not those that only finish old ones."""
        titles = self._processes()
        return [pid for pid, title in titles.items() if "shutting down" not in title]

    def _processes(self) -> dict[str, str]:
        """Find the titles of all worker processes, by their IDs."""
        _, said = self._run("sh", "-c", _TITLES)
        rows = (line.removeprefix("/proc/").split("/cmdline:", 1) for line in said.splitlines())
        return {row[0]: row[1] for row in rows if row[-1].startswith("nginx: worker process")}

    def _write(self, files: dict[str, str]) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in files.items():
                data = text.encode()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
                archive.addfile(entry, io.BytesIO(data))
        self._container.put_archive(ROUTE_FOLDER, buffer.getvalue())


def _files(route: str) -> dict[str, str]:
    """Write a route as nginx reads it, and as its metrics do."""
    return {_ROUTE: route, _TABLE: json.dumps(table(route, time.time()))}
