"""The `pulumi config` commands that fix a key, derived from the examples in the model."""

from collections.abc import Mapping

from loadbalancer.config.model import DEFAULT_WEIGHTS
from loadbalancer.config.reference import example, set_to


class FixCommands:
    """Commands for a configuration in the form in which it is written.

    `--path` changes one value inside an object. A list such as `app1=7,app2=3` is one text, which
    can only be set as a whole.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take the text of each key that is set, objects as JSON."""
        self._values = values

    def set(self, path: str) -> str:
        """Name the command that sets a key to a valid value, its example."""
        key, _, inner = path.partition(".")
        if inner and not self._is_object(key):
            return set_to(key, example(key))
        value = DEFAULT_WEIGHTS.get(inner) if key == "weights" else None
        return set_to(path, value or example(path))

    def remove(self, path: str) -> str:
        """Name the command that removes a key, or sets the list that holds it anew."""
        key, _, inner = path.partition(".")
        if inner and not self._is_object(key):
            return set_to(key, example(key))
        return f"pulumi config rm {'--path ' if inner else ''}{path}"

    def _is_object(self, key: str) -> bool:
        return self._values.get(key, "{").lstrip().startswith("{")
