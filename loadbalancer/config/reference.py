"""Reference of the keys: look-ups in the model, and the tables of docs/configuration.md.

`python -m loadbalancer.config.reference` prints the tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from loadbalancer.config.model import Settings
from loadbalancer.config.values import Check, Json

APP = "<name>"
"""Stands for the name of an app in the path of a key."""
_HEADER = "| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |"


@dataclass(frozen=True)
class Key:
    """One key: its path, what a reader needs to know of it, and a command that sets it."""

    path: str
    kind: str
    default: str
    description: str
    command: str

    def __str__(self) -> str:
        """Write a row of the table."""
        default = f"`{self.default}`" if self.default else "none"
        cells = (f"`{self.path}`", self.kind, default, self.description, f"`{self.command}`")
        return f"| {' | '.join(cells)} |"


def set_to(path: str, value: object) -> str:
    """Name the command that sets a key to a value."""
    return f"pulumi config set {'--path ' if '.' in path else ''}{path} {value}"


def example(path: str) -> str:
    """Return the example of a key, as it is written on the command line."""
    found = field(path)
    if found is not None:
        return str((found.examples or [""])[0])
    parent = field(path.rpartition(".")[0])  # of a named value, such as weights.app1
    extra = parent.json_schema_extra if parent else None
    return str(extra["item"]) if isinstance(extra, Mapping) else ""


def field(path: str) -> FieldInfo | None:
    """Find the field of a key such as `apps.app1.limits.cpus`; None if there is no such key."""
    return _look_up(path)[0]


def names(path: str) -> list[str]:
    """List the keys directly below a key; the top-level keys for an empty path."""
    return list(_fields(_look_up(path)[1] if path else Settings))


def _look_up(path: str) -> tuple[FieldInfo | None, type[BaseModel] | None]:
    """Find the field of a key, and the model of the keys below it."""
    found: FieldInfo | None = None
    model: type[BaseModel] | None = Settings
    parts = path.split(".")
    for parent, name in zip(["", *parts], parts, strict=False):
        # What follows `apps` is the name of an app, which has no field, and its settings.
        found = None if parent == "apps" else _fields(model).get(name)
        if parent != "apps":
            model = _model(found.annotation) if found else None
    return found, model


def all_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Key]:
    """List every key, those below a key after it; the keys of an app are below `apps.<name>`."""
    for name, one in _fields(model).items():
        path = prefix + name
        inner = _model(one.annotation)
        command = set_to(path.replace(APP, "app1"), example(path))
        yield Key(path, kind(one), default(path), one.description or "", command)
        if inner is not None:
            yield from all_keys(inner, f"{path}.{APP}." if path == "apps" else f"{path}.")


def kind(one: FieldInfo) -> str:
    """Describe the type of a key, as its validator does."""
    return next(_kinds(one.annotation, one.metadata), "text")


def default(path: str) -> str:
    """Write the default of a key as on the command line; empty if there is none.

    For a setting of one app that all apps have as well, that is the name of the key for all.
    """
    one = field(path)
    if one is None or Json in one.metadata:  # its default is all the defaults below it
        return ""
    shared = path.removeprefix(f"apps.{APP}.")
    if shared != path and field(shared) is not None:
        return shared
    return _written(one.get_default(call_default_factory=True))


def tables() -> dict[str, str]:
    """Write the tables of keys: those of the stack, of an app, and of rollouts, by title."""
    groups: dict[str, list[str]] = {"Keys of a stack": [], "Keys of an app": [], "Rollouts": []}
    titles = {"apps": "Keys of an app", "rollout": "Rollouts"}
    for key in all_keys():
        groups[titles.get(key.path.partition(".")[0], "Keys of a stack")].append(str(key))
    return {title: "\n".join((_HEADER, *rows)) for title, rows in groups.items()}


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {one.alias or name: one for name, one in model.model_fields.items()} if model else {}


def _model(annotation: Any) -> type[BaseModel] | None:
    """Find the model in an annotation, such as that of dict[str, AppSettings]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model(one))), None)


def _kinds(annotation: Any, metadata: Any = ()) -> Iterator[str]:
    """List the descriptions of the validators of an annotation, the outermost first."""
    for one in (*metadata, *getattr(annotation, "__metadata__", ())):
        if isinstance(one, Check):
            yield one.kind
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _written(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(by_alias=True, exclude_none=True)
    if isinstance(value, Mapping):
        parts = {name: _written(one) for name, one in value.items()}
        return ",".join(f"{name}={text}" for name, text in parts.items() if text)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    for title, table in tables().items():
        print(f"## {title}\n\n{table}\n")
