"""The stack's config file: read as it stands, without a program that takes half a second."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from loadbalancer.config import apps, load
from loadbalancer.config.model import Settings
from loadbalancer.engine.wait import Wait
from loadbalancer.rollout import record
from loadbalancer.rollout.record import Progress

_PREFIX = "loadbalancer:"
_UNWATCHED = {record.KEY, f"{_PREFIX}weights", f"{_PREFIX}rollout"}
"""Keys whose change is nobody's change of the stack, or is watched by itself."""


class SettingsFile:
    """What stands in `Pulumi.STACK.yaml`."""

    def __init__(self, project: Path, stack: str) -> None:
        self._project = project
        # A stack of an organization has a file without that one's name.
        self._path = project / f"Pulumi.{stack.rpartition('/')[2]}.yaml"

    def values(self) -> dict[str, Any]:
        """Read every value by its whole key; objects are objects."""
        found: list[Mapping[str, Any]] = []

        def look() -> object:
            if not self._path.exists():  # everything is as the defaults have it
                found.append({})
                return None
            held = yaml.safe_load(self._path.read_text())
            if not isinstance(held, Mapping):
                return "it is empty"
            found.append(held.get("config") or {})
            return None

        # Another program may be in the middle of writing it.
        patience = Wait(5, 0.1, forgives=(yaml.YAMLError,))
        patience.until(f"{self._path.name} to be readable", look)
        return dict(found[-1])

    def record(self) -> Progress | None:
        """Read the record of a rollout; raises ValueError where it is something else."""
        text = self.values().get(record.KEY)
        return None if text is None else record.read(_text(text))

    def settings(self) -> Settings:
        """Check the config as the program does; raises ConfigError."""
        folders = apps.find(self._project / "apps")
        own = {
            key.removeprefix(_PREFIX): _text(value)
            for key, value in self.values().items()
            if key.startswith(_PREFIX)
        }
        return load.load(own, folders)

    def digests(self) -> dict[str, str]:
        """Digest what a rollout does not change, each value by itself: some may be secrets."""
        return {
            key.removeprefix(_PREFIX): sha256(_text(value).encode()).hexdigest()[:12]
            for key, value in self.values().items()
            if key not in _UNWATCHED
        }


def _text(value: object) -> str:
    """Write a value as Pulumi gives it to a program."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
