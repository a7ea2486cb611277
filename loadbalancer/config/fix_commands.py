"""The `pulumi config` commands that fix a configuration, in the form in which it is written.

`pulumi config set --path weights.app1 6` changes one value inside an object. Where the object is
written as text, a list such as `app1=7,app2=3` or JSON, `--path` would replace the whole text or
fail. So the command for a value in a text sets the text anew, with everything else that it holds.
"""

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from loadbalancer.config import paths
from loadbalancer.config.model import DEFAULT_WEIGHTS
from loadbalancer.config.reference import example
from loadbalancer.config.values import read_pairs

_REMOVED = object()


class FixCommands:
    """Commands for one stack's configuration.

    One command for a text must fix all the faults in it. So the commands are made twice, and only
    those of the second time are shown: then every change is known.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        *,
        stack: str = "",
        deployed: Mapping[str, object] | None = None,
        secrets: Collection[str] = (),
    ) -> None:
        """Take what is configured.

        Args:
            values: the value of each key that is set: a text as it was typed, or an object.
            stack: the stack, which the commands name unless it is empty.
            deployed: values that the stack runs with, by their paths.
            secrets: paths of the values that are encrypted.
        """
        self._values = values
        self._options = f" --stack {shlex.quote(stack)}" if stack else ""
        self._deployed = dict(deployed or {})
        self._secrets = secrets
        self._changes: dict[tuple[str, ...], object] = {}

    def set(self, path: str, value: object = None) -> str:
        """Name the command that sets a key: to a value, else to what is deployed or an example."""
        parts = tuple(paths.split(path))
        new = self.valid(path) if value is None else str(value)
        self._changes[parts] = new
        text = self._text_around(parts)
        return self._set(parts, new) if text is None else self._set_text(text)

    def remove(self, path: str) -> str:
        """Name the command that removes a key."""
        parts = tuple(paths.split(path))
        self._changes[parts] = _REMOVED
        text = self._text_around(parts)
        return self.remove_key(path, inner=len(parts) > 1) if text is None else self._set_text(text)

    def remove_key(self, key: str, *, inner: bool = False) -> str:
        """Name the command that removes a value by its path, or a key by its full name."""
        option = "--path " if inner else ""
        return f"pulumi config rm {option}{shlex.quote(key)}{self._options}"

    def up(self) -> str:
        """Name the command that brings the configuration into force."""
        return f"pulumi up{self._options}"

    def valid(self, path: str) -> str:
        """Return a valid value of a key: the deployed one, else the default or an example."""
        parts = paths.split(path)
        if path in self._deployed:
            return str(self._deployed[path])
        if len(parts) > 1 and parts[0] == "weights" and parts[1] in DEFAULT_WEIGHTS:
            return str(DEFAULT_WEIGHTS[parts[1]])
        return "".join(shlex.split(example(".".join(parts))))

    def _set(self, parts: Sequence[str], value: str) -> str:
        path, options = paths.join(parts), "--path " if len(parts) > 1 else ""
        if path in self._secrets:
            options += "--secret "
        return f"pulumi config set {options}{shlex.quote(path)} {shlex.quote(value)}{self._options}"

    def _set_text(self, parts: Sequence[str]) -> str:
        """Name the command that sets a text anew, with every change inside it."""
        if paths.join(parts) in self._secrets:
            # The rest of the text must not be shown; Pulumi asks for it.
            path, option = paths.join(parts), "--path " if len(parts) > 1 else ""
            return f"pulumi config set {option}--secret {shlex.quote(path)}{self._options}"
        changes = {
            path[len(parts) :]: value
            for path, value in self._changes.items()
            if len(path) > len(parts) and list(path[: len(parts)]) == list(parts)
        }
        new = _changed(self._at(parts), changes)
        if new:
            return self._set(parts, str(new))
        return self.remove_key(paths.join(parts), inner=len(parts) > 1)

    def is_secret(self, path: str) -> bool:
        """Tell whether a value is encrypted, or holds one or is in one that is."""
        parts = paths.split(path)
        return any(
            parts[: len(other)] == other[: len(parts)] for other in map(paths.split, self._secrets)
        )

    def _text_around(self, parts: Sequence[str]) -> list[str] | None:
        """Find the outermost text that holds a value; None where `--path` changes the value."""
        for end in range(1, len(parts)):
            around = list(parts[:end])
            if isinstance(_parsed(self._at(around)), dict) and isinstance(self._at(around), str):
                return around
        return None

    def _at(self, parts: Sequence[str]) -> Any:
        found: Any = self._values
        for name in parts:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


def _parsed(text: object) -> object:
    """Read the object that a text describes; None if it describes none."""
    if not isinstance(text, str):
        return text
    try:
        return read_pairs(text)
    except PydanticCustomError:
        return None


def _changed(value: Any, changes: Mapping[tuple[str, ...], object]) -> Any:
    """Apply changes by their paths to an object, or to a text, which keeps its form."""
    found = _parsed(value)
    if not isinstance(found, dict):
        return value
    new = dict(found)
    for name in {path[0]: None for path in changes}:
        inner = {path[1:]: one for path, one in changes.items() if path[0] == name}
        if () not in inner:
            new[name] = _changed(new.get(name, {}), inner)
        elif inner[()] is _REMOVED:
            new.pop(name, None)
        else:
            new[name] = _typed(str(inner[()]))
    if not isinstance(value, str):
        return new
    if not new:
        return ""
    if value.lstrip().startswith("{") or any(isinstance(one, dict) for one in new.values()):
        return json.dumps(new, separators=(",", ":"), ensure_ascii=False)
    return ",".join(f"{name}={_written(one)}" for name, one in new.items())


def _typed(text: str) -> object:
    """Turn a text into what JSON has for it: an object or a number, else the text."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, (dict, int, float)) else text


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
