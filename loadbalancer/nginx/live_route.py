"""The route of a running nginx: read it, and change it without losing a request."""

import json
import time
from collections.abc import Mapping
from functools import partial

from loadbalancer.engine import exec
from loadbalancer.nginx.process import ROUTE_FOLDER, NginxProcess, SupersededError
from loadbalancer.nginx.upstream import (
    STAGING_PORT,
    addresses,
    same_servers,
    serving,
    staged,
    table,
    unstaged,
)

_ROUTE, _TABLE = "route.conf", "route.json"
_OTHER_TABLE = f"# {_TABLE} has the table of another route.\n"


class RouteError(RuntimeError):
    """nginx refused a route; the message holds nginx's own."""


class LiveRoute(NginxProcess):
    """The route that one nginx serves by."""

    def text(self) -> str:
        """Read the text in nginx's container; empty if there is none."""
        return _text(exec.read_folder(self._container, ROUTE_FOLDER))

    def loaded(self) -> str | None:
        """Read the route that nginx serves by; None if it has not loaded what is in its folders.

        Where the table of the rotation is not that of the text, a last line says so.
        """
        folder = exec.read_folder(self._container, ROUTE_FOLDER)
        if not self._has_loaded(folder):
            return None
        text = _text(folder)
        return text if _has_table(folder, text) else f"{text}{_OTHER_TABLE}"

    def in_force(self) -> str:
        """Read the route that nginx serves by; empty if it has not loaded the text there."""
        return self.loaded() or ""

    def serves(self) -> bool:
        """Tell whether the route has any server that gets requests."""
        return serving(self.text())

    def newcomers(self, text: str) -> list[str]:
        """List the servers (`host:port`) of a text that are not in the route yet.

        Servers that an interrupted change has only staged are not in the route.
        """
        return sorted(addresses(text) - addresses(unstaged(self.text())))

    def apply(self, text: str) -> None:
        """Make nginx serve by this route; returns when all its workers do.

        Weights above 0 change without a reload, which would leave a worker behind for each stream
        that is open. For any other change new servers are staged first: added without a share, and
        they must answer their health check through nginx. Only then does the route change. Whatever
        fails, nginx keeps serving by the route before, or by that of a change that was begun later.

        Raises:
            RouteError: with nginx's message, or with the condition that was not met.
        """
        if not self._owner:
            self.take_over()
        self._wait_until_healthy()
        # A change that was killed half-way may have left its staging.
        found = self.text()
        before = unstaged(found)
        newcomers = sorted(addresses(text) - addresses(before))
        try:
            if found == before and self._reweight(before, text):
                return
            staging = staged(before, newcomers) if newcomers else None
            if staging:
                self._switch({_ROUTE: staging})
                self._wait_until_reachable(newcomers)
            old_workers = self._switch(_files(text))
            if addresses(before) - addresses(text):
                self._wait_until_released(old_workers)
        except SupersededError as error:
            raise RouteError(f"the route was not changed: {error}") from error
        # Whatever the cause, such as an engine that has gone away, a text must not stay there that
        # nginx refuses: it would not start again.
        except Exception as error:
            self._put_back(before, error)
            raise RouteError(f"the route was not changed: {error}") from error

    def _reweight(self, before: str, text: str) -> bool:
        """Put other weights of the same servers in force; returns whether no reload is needed."""
        if before == text or not same_servers(before, text) or self.loaded() != before:
            return False
        return self._load_weights(_encoded(_files(text)))

    def _put_back(self, before: str, cause: Exception) -> None:
        try:
            self._switch(_files(before))
        except Exception as error:
            message = f"{cause}; and the route before could not be put back: {error}"
            raise RouteError(message) from error

    def _switch(self, files: dict[str, str]) -> set[str]:
        return self._reload(self._write(_encoded(files)))

    def _wait_until_reachable(self, newcomers: list[str]) -> None:
        for number, address in enumerate(newcomers):
            url = f"http://127.0.0.1:{STAGING_PORT}/{number}"
            what = f"{address} to answer its health check through nginx"
            self._wait.until(what, partial(self._problem, url))

    def _problem(self, url: str) -> object:
        self._expect_owner()
        code, output = self._fetch(url)
        return output if code else None


def _text(folder: Mapping[str, bytes]) -> str:
    return folder.get(_ROUTE, b"").decode()


def _has_table(folder: Mapping[str, bytes], text: str) -> bool:
    try:
        found = json.loads(folder.get(_TABLE, b""))
        return bool(found == table(text, found["changed"]))
    except (ValueError, LookupError, TypeError):
        return False


def _encoded(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def _files(route: str) -> dict[str, str]:
    """Write a route in the forms that nginx and its metrics read."""
    return {_ROUTE: route, _TABLE: json.dumps(table(route, time.time()))}
