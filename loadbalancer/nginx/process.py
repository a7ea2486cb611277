"""The nginx process in a container: its configuration, its workers, and a lossless reload."""

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress

from loadbalancer.engine import APIError, Handle, exec
from loadbalancer.engine.wait import Wait, WaitTimeoutError

ROUTE_FOLDER = "/etc/nginx/route"
"""Where the volume with the route is mounted; nginx.conf includes the files in it."""
FILES_FOLDER = "/etc/nginx/files"
"""Where the volume with nginx.conf and its files is mounted: one folder for each version."""
SPOOL_FOLDER = "/var/spool/nginx"
"""Where the volume is mounted in which nginx stores the bodies of requests."""
CURRENT = f"{FILES_FOLDER}/current"
"""Link to the version that nginx reads; its master was started with this path."""

_GENERATION = "generation.conf"
_OWNER = "owner"
"""File in ROUTE_FOLDER that names the change of nginx that was begun last."""
_GENERATION_URL = "http://127.0.0.1:8081/generation"
_WEIGHTS_URL = "http://127.0.0.1:8081/weights"
_LINGER = 3.0
"""Seconds that old workers may take requests on open connections: a little more than nginx.conf's
keepalive_min_timeout."""
_TITLES = r"grep -a -H '' /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '"
"""Prints /proc/PID/cmdline:TITLE for each process. Docker's own list of processes needs `ps` on
the engine's machine, which a slim one lacks."""
_CURL = ("curl", "--silent", "--show-error", "--max-time", "5")


class NginxError(RuntimeError):
    """nginx refused a configuration; the message holds nginx's own."""


class SupersededError(RuntimeError):
    """Another change of the same nginx was begun later, and only that one may go on."""


class NginxProcess:
    """One running nginx, reached through the Docker engine alone, so over DOCKER_HOST as well."""

    def __init__(self, container: Handle, wait: Wait | None = None) -> None:
        self._container = container
        self._wait = wait or Wait(timeout=30, forgives=(APIError,))
        self._owner = b""

    def take_over(self) -> None:
        """Begin a change of nginx: any other that is still under way ends at its next step.

        A plugin of an update that was killed goes on until it notices, and would change nginx again
        after the next update.
        """
        self._owner = secrets.token_hex(8).encode()
        exec.write_folder(self._container, ROUTE_FOLDER, {_OWNER: self._owner})

    def _expect_owner(self) -> None:
        """Check that no other change was begun.

        Raises:
            SupersededError: when one was.
        """
        if exec.read_folder(self._container, ROUTE_FOLDER).get(_OWNER) != self._owner:
            raise SupersededError("another update has begun to change nginx")

    def workers(self) -> list[str]:
        """List the processes that accept connections, without those that are shutting down."""
        return _accepting(self._processes())

    def _has_loaded(self, route_folder: Mapping[str, bytes]) -> bool:
        """Tell whether nginx serves by the files in its folders.

        It does not when an update was killed after it had written them and before nginx reloaded.
        An nginx that does not run reads them when it starts.

        Args:
            route_folder: the files in ROUTE_FOLDER.
        """
        try:
            code, served = self._fetch(_GENERATION_URL)
        except APIError:
            return True
        written = route_folder.get(_GENERATION, b"").decode()
        return bool(code) or _generation(served) == written

    def _wait_until_healthy(self) -> None:
        """Wait for the health check: Docker cannot exec in a container that is restarting.

        One that was stopped is started: who changes what it serves by wants it to serve.
        """
        if exec.health(self._container) == "exited":
            self._container.start()

        def look() -> object:
            status = exec.health(self._container)
            return None if status in {"healthy", "running"} else f"it is {status}"

        self._wait.until(f"nginx in container {self._container.name} to be healthy", look)

    def _test(self, folder: str = CURRENT) -> None:
        """Run `nginx -t` on the configuration in a folder.

        Raises:
            NginxError: with nginx's message.
        """
        code, output = self._run("nginx", "-t", "-p", f"{folder}/", "-c", "nginx.conf")
        if code:
            raise NginxError(f"nginx refuses it: {output.replace(f'{folder}/', '')}")

    def _write(self, route_files: Mapping[str, bytes]) -> str:
        """Write files of the route and a new generation's name, and test the configuration.

        All at once: nobody takes files for loaded that were written before the name was.

        Args:
            route_files: the files in ROUTE_FOLDER that change.

        Returns:
            The name of the generation.
        """
        generation = secrets.token_hex(8)
        self._expect_owner()
        new = {**route_files, _GENERATION: _generation(generation).encode()}
        exec.write_folder(self._container, ROUTE_FOLDER, new)
        self._test()
        return generation

    def _reload(self, generation: str) -> set[str]:
        """Reload, and wait until new workers serve by the configuration that `_write` has named.

        Returns the old workers, which may still finish their requests.
        """
        old_workers = set(self.workers())
        since = int(time.time())
        # A signal that the engine sends marks the container as stopped by hand, whichever it is:
        # with "unless-stopped" it would not start again with the machine.
        self._run("sh", "-c", "kill -HUP 1")

        def look() -> object:
            self._expect_owner()
            # In one command, since each takes longer to start than to run.
            _, output = self._run("sh", "-c", f"{_TITLES}; {' '.join(_CURL)} {_GENERATION_URL}")
            served = output.rpartition("\n")[2]
            workers = _accepting(_worker_titles(output))
            if old_workers & set(workers):
                return "old workers still accept connections"
            return None if served == generation and workers else f"nginx answered {served!r}"

        try:
            self._wait.until("nginx's new workers to serve", look)
        except WaitTimeoutError as error:
            log = exec.recent_errors(self._container, since)
            raise NginxError(f"{error}; nginx said: {log}") from error
        return old_workers

    def _load_weights(self, files: Mapping[str, bytes]) -> bool:
        """Write a route that differs by weights alone, and have nginx serve by them at once.

        Returns False where nginx needs a reload.
        """
        url = f"{_WEIGHTS_URL}?generation={self._write(files)}"
        code, _ = self._run(*_CURL, "--fail", "--request", "POST", url)
        return not code

    def _wait_until_released(self, old_workers: set[str]) -> None:
        """Wait until old workers take no request for a server that is about to be removed.

        They do for keepalive_min_timeout (nginx.conf), on connections that were open at the
        reload. After that only requests in flight keep them, which the server itself finishes.
        """

        def look() -> object:
            return "old workers still run" if old_workers & set(self._processes()) else None

        with suppress(WaitTimeoutError):
            Wait(timeout=_LINGER, interval=0.1, forgives=(APIError,)).until("old workers", look)

    def _fetch(self, url: str) -> tuple[int, str]:
        """Fetch a URL inside nginx's container; returns curl's exit code and output."""
        return self._run(*_CURL, "--fail", url)

    def _run(self, *command: str, user: str = "") -> tuple[int, str]:
        """Run a command in the container; returns its exit code and output."""
        code, output = exec.run(self._container, command, user=user)
        return code, output.strip()

    def _processes(self) -> dict[str, str]:
        """Find the titles of all worker processes, by their IDs."""
        _, output = self._run("sh", "-c", _TITLES)
        return _worker_titles(output)


def _worker_titles(output: str) -> dict[str, str]:
    rows = (line.removeprefix("/proc/").split("/cmdline:", 1) for line in output.splitlines())
    return {row[0]: row[1] for row in rows if row[-1].startswith("nginx: worker process")}


def _accepting(titles: Mapping[str, str]) -> list[str]:
    return [pid for pid, title in titles.items() if "shutting down" not in title]


def _generation(name: str) -> str:
    """Write the file by which nginx reports which generation of its configuration it serves by."""
    return f'map "" $generation {{ default {name}; }}\n'
