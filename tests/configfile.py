"""A model of a stack's file, and of the `pulumi config` commands that change it."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from loadbalancer.config import paths


class ConfigCommandError(Exception):
    """Pulumi refuses the command."""


def commands(text: str) -> list[str]:
    """List the commands in a sentence such as `Set it: pulumi config rm a && pulumi up`."""
    start = re.search(r"(?:^|: )((?:pulumi|\./lb|eval) .*)", text, re.DOTALL)
    return list(_separate(start[1])) if start else []


def _separate(line: str) -> Iterator[str]:
    """Separate commands at `&&` outside quotes."""
    words: list[str] = []
    for word in shlex.split(line):
        if word == "&&":
            yield shlex.join(words)
            words = []
        else:
            words.append(word)
    yield shlex.join(words)


def apply(command: str, values: dict[str, Any]) -> None:
    """Change the values of a file, by their keys without the project's name, as Pulumi does.

    Raises:
        ConfigCommandError: where Pulumi would refuse the command.
    """
    program, config, verb, *rest = shlex.split(command)
    assert (program, config) == ("pulumi", "config"), command
    if "--stack" in rest:
        at = rest.index("--stack")
        del rest[at : at + 2]
    options = {word for word in rest if word.startswith("--")}
    key, *value = (word for word in rest if word not in options)
    assert options <= {"--path", "--secret"}, command
    parts = paths.split(key) if "--path" in options else [key]
    if verb == "rm":
        _remove(values, parts)
    else:
        assert verb == "set", command
        _set(values, parts, _typed(value[0]) if "--path" in options else value[0])


def _set(values: dict[str, Any], parts: list[str], value: object) -> None:
    first, *inner = parts
    if inner and not isinstance(values.get(first), dict):
        values[first] = {}  # a text is replaced, without a word
    place = values
    for name in parts[:-1]:
        if not isinstance(place, dict):
            raise ConfigCommandError(f"{name}: expected a map")
        place = place.setdefault(name, {})
    if not isinstance(place, dict):
        raise ConfigCommandError(f"{parts[-1]}: expected a map")
    place[parts[-1]] = value


def _remove(values: dict[str, Any], parts: list[str]) -> None:
    place: Any = values
    for name in parts[:-1]:
        place = place.get(name)
        if not isinstance(place, dict):
            return
    place.pop(parts[-1], None)


def _typed(text: str) -> object:
    """Turn a text into what `--path` makes of it: whole numbers and booleans."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d*", text) else text
