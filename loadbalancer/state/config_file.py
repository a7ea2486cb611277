"""The config of a stack, read from its file: `pulumi config` takes half a second."""

import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import yaml

from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi

if TYPE_CHECKING:  # they take long to import, and not every verb needs them
    from loadbalancer.config.model import Settings

RECORD_KEY = "loadbalancer-rollout:progress"
"""Key of the record of a rollout, in a namespace that the program does not read."""
WRITING = 5.0
"""Seconds for which another program may be in the middle of writing the file."""
_READ = ("weights", "rollout")
"""Keys that a rollout reads, and so decrypts."""


class ConfigFileError(ValueError):
    """The file is not one of Pulumi's; the message says where and why."""


class ConfigFile:
    """What is in `Pulumi.STACK.yaml`.

    Encrypted values are decrypted by Pulumi, each time that they have changed.
    """

    def __init__(self, project: Project, stack: str, pulumi: Pulumi | None = None) -> None:
        self._project = project
        self._stack = stack
        self._path = project.stack_file(stack)
        self._prefix = f"{project.name}:"
        self._pulumi = pulumi or Pulumi(project.folder)
        self._decrypted: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Name of the file."""
        return self._path.name

    def values(self) -> dict[str, Any]:
        """Read every value by its full key, such as `loadbalancer:weights`; none without a file.

        Raises:
            ConfigFileError: when the file is not YAML of that form.
        """
        deadline = time.monotonic() + WRITING
        while True:
            try:
                return self._read()
            except (OSError, ValueError, yaml.YAMLError) as error:
                if time.monotonic() > deadline:
                    reason = " ".join(str(error).split())
                    raise ConfigFileError(f"{self.name} is not valid: {reason}") from error
            time.sleep(0.1)

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return {}
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        if not isinstance(content, Mapping):
            raise ValueError("it is empty")
        config = content.get("config") or {}
        if not isinstance(config, Mapping):
            raise ValueError("config is not a set of named values")
        return {str(key): value for key, value in config.items()}

    def record(self) -> str | None:
        """Read the text of the record of a rollout; None without one. Errors are as of `values`.

        Raises:
            PulumiError: when it is encrypted and cannot be decrypted.
        """
        value = self.values().get(RECORD_KEY)
        return None if value is None else _text(self._plain(RECORD_KEY, value))

    def has_secret_weights(self) -> bool:
        """Tell whether weights, those of the stack or the target of rollouts, are encrypted."""
        values = self.values()
        return any(is_secret(values.get(f"{self._prefix}{key}")) for key in _READ)

    def _plain(self, key: str, value: object) -> object:
        """Return a value, decrypted if it is a secret."""
        if not is_secret(value):
            return value
        known = json.dumps(value)
        if known not in self._decrypted:
            self._decrypted[known] = self._pulumi.run("config", "get", key, stack=self._stack)
        text = self._decrypted[known]
        return text if set(value) == {"secure"} else json.loads(text)  # type: ignore[call-overload]

    def settings(self) -> "Settings":
        """Check the config as the program does; encrypted values that a rollout ignores are not.

        Raises:
            ConfigError: when the config is invalid.
            ConfigFileError: when the file is not one of Pulumi's.
            PulumiError: when the weights or the options of rollouts cannot be decrypted.
        """
        from loadbalancer.config import apps, load  # noqa: PLC0415 - see above
        from loadbalancer.config.fix_commands import FixCommands  # noqa: PLC0415

        own = {
            key.removeprefix(self._prefix): value
            for key, value in self.values().items()
            if key.startswith(self._prefix)
        }
        secrets = [key for key in _READ if is_secret(own.get(key))]
        plain = {
            key: self._plain(f"{self._prefix}{key}", value) if key in _READ else value
            for key, value in own.items()
            if key in _READ or not is_secret(value)
        }
        fix = FixCommands(plain, stack=self._stack, secrets=secrets)
        return load.load(plain, apps.find(self._project.folder / "apps"), fix=fix)

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
