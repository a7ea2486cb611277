"""Reference of the keys: look-ups in the model, and the tables of docs/configuration.md.

`python -m loadbalancer.config.reference` prints the tables.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from loadbalancer.config.model import Settings


def field(path: str) -> FieldInfo | None:
    """Find the field of a key such as `apps.app1.limits.cpus`; None if there is no such key."""
    found: FieldInfo | None = None
    fields = _fields(Settings)
    previous = ""
    for name in path.split("."):
        if previous != "apps":  # what follows it is the name of an app
            found = fields.get(name)
            if found is None:
                return None
            model = _model(found.annotation)
            fields = _fields(model) if model else {}
        previous = name
    return found


def keys(path: str) -> list[str]:
    """List the keys below a key that holds named values; the top-level keys for an empty path."""
    found = field(path) if path else None
    model = _model(found.annotation) if found else Settings
    return list(_fields(model)) if model else []


def example(path: str) -> str:
    """Return the example of a key, as it is written on the command line."""
    found = field(path)
    if found is not None:
        return str((found.examples or [""])[0])
    parent = field(path.rpartition(".")[0])
    extra = parent.json_schema_extra if parent else None
    return str(extra["item"]) if isinstance(extra, Mapping) else ""


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {one.alias or name: one for name, one in model.model_fields.items()}


def _model(annotation: Any) -> type[BaseModel] | None:
    """Find the model in an annotation, such as that of dict[str, AppSettings]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model(one))), None)
