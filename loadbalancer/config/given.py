"""Given: what a stack's file sets, as it is written: texts, objects, and which are encrypted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from loadbalancer.config import paths
from loadbalancer.config.model import Settings


def from_file(values: Mapping[str, Any]) -> dict[str, object]:
    """Write values of a stack's file as `load` takes them: objects, and everything else as text."""
    return {
        key: value if isinstance(value, dict) else _text(value) for key, value in values.items()
    }


def from_program(texts: Mapping[str, str], file: Mapping[str, Any]) -> dict[str, object]:
    """Tell what is set from the defaults of Pulumi.yaml, and objects from texts.

    Pulumi hands both to the program as text: an object as JSON, which may be a text as well.

    Args:
        texts: what Pulumi hands to the program, without the project's name.
        file: the values of the stack's file, where they may be encrypted.
    """
    given: dict[str, object] = {}
    for key, text in texts.items():
        if key in file:
            in_file = file[key]
            is_object = isinstance(in_file, dict) and set(in_file) != {"secure"}
        else:  # a default, or from a file that --config-file names
            is_object = text.lstrip().startswith("{")
        value = _object(text) if is_object else text
        if key in file or not _is_default(key, value):
            given[key] = value
    return given


def secrets(file: Mapping[str, Any]) -> set[str]:
    """List the paths of the encrypted values of a stack's file."""
    return {paths.join(parts) for parts in _secrets(file, ())}


def _secrets(value: object, parts: Sequence[str]) -> Iterator[Sequence[str]]:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            yield parts
            return
        for name, inner in value.items():
            yield from _secrets(inner, (*parts, str(name)))


def _is_default(key: str, value: object) -> bool:
    try:
        settings = Settings.model_validate({key: value})
    except ValidationError:
        return False
    return settings == Settings()


def _object(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found


def _text(value: object) -> str:
    """Write a value as Pulumi gives it to a program."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
