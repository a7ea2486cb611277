"""The config of a stack, read from its file: `pulumi config` takes half a second."""

import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import yaml

from loadbalancer.state.project import Project

if TYPE_CHECKING:  # they take long to import, and not every verb needs them
    from loadbalancer.config.model import Settings

RECORD_KEY = "loadbalancer-rollout:progress"
"""Key of the record of a rollout, in a namespace that the program does not read."""
WRITING = 5.0
"""Seconds for which another program may be in the middle of writing the file."""


class SecretValueError(ValueError):
    """The value is encrypted; the message names the key and the command that fixes it."""


class ConfigFile:
    """What is in `Pulumi.STACK.yaml`."""

    def __init__(self, project: Project, stack: str) -> None:
        self._project = project
        self._stack = stack
        self._path = project.stack_file(stack)
        self._prefix = f"{project.name}:"

    def values(self) -> dict[str, Any]:
        """Read every value by its full key, such as `loadbalancer:weights`; none without a file.

        Raises:
            ValueError: when the file is not YAML of that form.
        """
        deadline = time.monotonic() + WRITING
        while True:
            try:
                return self._read()
            except (ValueError, yaml.YAMLError) as error:
                if time.monotonic() > deadline:
                    raise ValueError(f"{self._path.name} is not valid: {error}") from error
            time.sleep(0.1)

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return {}
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        if not isinstance(content, Mapping):
            raise ValueError("it is empty")
        return dict(content.get("config") or {})

    def record(self) -> str | None:
        """Read the text of the record of a rollout; None without one."""
        value = self.values().get(RECORD_KEY)
        return None if value is None else _text(value)

    def settings(self) -> "Settings":
        """Check the config as the program does; encrypted values that a rollout ignores are not.

        Raises:
            ConfigError: when the config is invalid.
            SecretValueError: when the weights or the options of rollouts are encrypted.
        """
        from loadbalancer.config import apps, load  # noqa: PLC0415 - see above

        own = {
            key.removeprefix(self._prefix): value
            for key, value in self.values().items()
            if key.startswith(self._prefix)
        }
        for key in ("weights", "rollout"):
            if is_secret(own.get(key)):
                raise SecretValueError(
                    f"{key}: the value is encrypted, and a rollout reads plain values only. "
                    f"Set it again: pulumi config set --plaintext {key} VALUE --stack {self._stack}"
                )
        plain = {key: _text(value) for key, value in own.items() if not is_secret(value)}
        return load.load(plain, apps.find(self._project.folder / "apps"))

    def digests(self) -> dict[str, str]:
        """Return a digest of each value that a rollout does not change, by its key."""
        watched_elsewhere = {RECORD_KEY, f"{self._prefix}weights", f"{self._prefix}rollout"}
        return {
            key.removeprefix(self._prefix): sha256(_text(value).encode()).hexdigest()[:12]
            for key, value in self.values().items()
            if key not in watched_elsewhere
        }


def is_secret(value: object) -> bool:
    """Tell whether a config value is encrypted, or holds one that is."""
    if isinstance(value, Mapping):
        return "secure" in value or any(is_secret(one) for one in value.values())
    return isinstance(value, list) and any(is_secret(one) for one in value)


def _text(value: object) -> str:
    """Write a value as Pulumi gives it to a program."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
