"""The route of a running nginx: read it, change it without losing a request."""

import json
import time
from functools import partial

from docker.errors import APIError

from loadbalancer.engine.wait import WaitTimeoutError
from loadbalancer.nginx.process import ROUTE_FOLDER, NginxError, NginxProcess
from loadbalancer.nginx.upstream import STAGING_PORT, addresses, serving, staged, table

_ROUTE, _TABLE = "route.conf", "route.json"


class RouteError(RuntimeError):
    """nginx did not take a route; the message holds nginx's own."""


class RunningRoute(NginxProcess):
    """The route that is in force in one nginx."""

    def text(self) -> str:
        """Read the route that is really there; empty if there is none."""
        return self._read(ROUTE_FOLDER).get(_ROUTE, b"").decode()

    def in_force(self) -> str:
        """Read the route that nginx serves by; empty if it has not read the one that is there."""
        return self.text() if self._is_current() else ""

    def serves(self) -> bool:
        """Tell whether the route leads to any server at all."""
        return serving(self.text())

    def newcomers(self, text: str) -> list[str]:
        """List the servers (`host:port`) of a text that nginx has not met yet."""
        return sorted(addresses(text) - addresses(self.text()))

    def apply(self, text: str) -> None:
        """Make nginx serve by this route, and come back only when all its workers do.

        Servers that nginx has not met yet are first added without a share, and must answer their
        health probe through nginx; only then does the route change. Whatever fails, the route
        that was there before serves on.

        Raises:
            RouteError: with nginx's own message, or with what was waited for in vain.
        """
        self._wait_until_healthy()
        before = self.text()
        newcomers = self.newcomers(text)
        try:
            introduction = staged(before, newcomers) if newcomers else None
            if introduction:
                self._switch({_ROUTE: introduction})
                self._wait_until_reachable(newcomers)
            old_workers = self._switch(_files(text))
            if addresses(before) - addresses(text):
                self._wait_until_let_go(old_workers)
        except (NginxError, WaitTimeoutError, APIError) as error:
            self._put_back(before, error)
            raise RouteError(f"the route was not changed: {error}") from error

    def _put_back(self, before: str, cause: Exception) -> None:
        try:
            self._switch(_files(before))
        except (NginxError, WaitTimeoutError, APIError) as error:
            message = f"{cause}; and the route before could not be put back: {error}"
            raise RouteError(message) from error

    def _switch(self, files: dict[str, str]) -> set[str]:
        self._write(ROUTE_FOLDER, {name: text.encode() for name, text in files.items()})
        return self._reload()

    def _wait_until_reachable(self, newcomers: list[str]) -> None:
        for number, address in enumerate(newcomers):
            url = f"http://127.0.0.1:{STAGING_PORT}/{number}"
            what = f"{address} to answer its health probe through nginx"
            self._wait.until(what, partial(self._problem, url))

    def _problem(self, url: str) -> object:
        code, said = self._fetch(url)
        return said if code else None


def _files(route: str) -> dict[str, str]:
    """Write a route as nginx reads it, and as its metrics do."""
    return {_ROUTE: route, _TABLE: json.dumps(table(route, time.time()))}
