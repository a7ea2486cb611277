"""Pulumi's history of a stack, asked again only when there is more of it."""

import json
from collections.abc import Callable
from typing import Any

from loadbalancer.state import history
from loadbalancer.state.backend import folder
from loadbalancer.state.history import Update

_PAGE = 1000

Pulumi = Callable[..., str]


class PulumiHistory:
    """The updates of one stack; `pulumi` runs a command and returns what it prints."""

    def __init__(self, pulumi: Pulumi, backend: str, project: str, stack: str) -> None:
        self._pulumi = pulumi
        self._stack = stack
        self._seen: frozenset[str] | None = None
        self._updates: list[Update] = []
        kept = folder(backend)
        self._folder = None if kept is None else kept / "history" / project / stack

    def all(self) -> list[Update]:
        """List all updates, the oldest first."""
        files = self._files()
        if files is None or files != self._seen:
            self._updates = history.parse(self._listed())
            self._seen = files
        return self._updates

    def _files(self) -> frozenset[str] | None:
        """List what a file backend has written of it; None where there is nothing to be seen."""
        if self._folder is None or not self._folder.is_dir():
            return None
        return frozenset(path.name for path in self._folder.iterdir())

    def _listed(self) -> list[Any]:
        found: list[Any] = []
        for page in range(1, 1000):
            options = ("--page-size", str(_PAGE), "--page", str(page), "--stack", self._stack)
            some = json.loads(self._pulumi("stack", "history", "--json", *options) or "[]")
            found += some
            if len(some) < _PAGE:
                break
        return found
