"""Load: the text of a stack's configuration as checked settings, or every fault in it."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from loadbalancer.config import checks, reference
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import DEFAULT_WEIGHTS, KEYS, Settings
from loadbalancer.config.problems import ConfigError, Problem, as_written
from loadbalancer.config.values import read_pairs
from loadbalancer.names import APP_NAME

_NAMED_BY_APP = ("weights", "apps", "rollout.to")
"""Keys whose values are named by apps."""
_MOVED = {"replicas": "replicas", "directPorts": "directPort"}
"""Former keys that held a value of each app, and the key below `apps.<name>` that replaced them."""


def load(values: Mapping[str, str], apps: Collection[str]) -> Settings:
    """Check a stack's configuration against the apps that exist.

    Args:
        values: the text of each key that is set, without the project's name; objects as JSON.
        apps: names of the folders under apps/ that can be built.

    Returns:
        Settings whose weights name every app that is deployed.

    Raises:
        ConfigError: with every fault that was found.
    """
    return _Loader(values, apps).load()


class _Loader:
    def __init__(self, values: Mapping[str, str], apps: Collection[str]) -> None:
        self.values = values
        self.apps = sorted(apps)
        self.fix = FixCommands(values)
        self.problems: list[Problem] = []

    def load(self) -> Settings:
        raw = {
            key: _parse(key, text)
            for key, text in self.values.items()
            if self._is_known(key) and not self._is_moved(key)
        }
        self._drop_defaults_of_missing_apps(raw)
        for path in _NAMED_BY_APP:
            self._check_app_names(path, _at(raw, path.split(".")))
        settings = self._validate(raw)
        defaults = {app: weight for app, weight in DEFAULT_WEIGHTS.items() if app in self.apps}
        given = settings.weights if "weights" in settings.model_fields_set else {}
        settings = settings.model_copy(
            update={"weights": dict(sorted({**defaults, **given}.items()))}
        )
        faulty = {problem.key.partition(".")[0] for problem in self.problems}
        self.problems += checks.conflicts(settings, self.fix, faulty)
        if self.problems:
            raise ConfigError(self.problems)
        return settings

    def _add(self, key: str, value: object, reason: str, fix: str) -> None:
        self.problems.append(Problem(key, value, reason, fix))

    def _is_known(self, key: str) -> bool:
        """Refuse a key that is neither in the model nor a former one."""
        if key in KEYS or key in _MOVED:
            return True
        value = self.values[key]
        first, _, inner = key.partition(".")
        remove = f"pulumi config rm {key}"
        if inner and first in _MOVED:
            move = reference.set_to(f"apps.{inner}.{_MOVED[first]}", as_written(value))
            reason = f"has been replaced by apps.{inner}.{_MOVED[first]}"
            self._add(key, value, reason, f"Set it: {move} && {remove}")
        elif inner and first in KEYS:
            move = reference.set_to(key, as_written(value))
            self._add(key, value, "was set without --path", f"Set it: {remove} && {move}")
        else:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f", did you mean {close[0]}?" if close else ""
            reason = f"is set, but there is no such key{hint} (keys: {', '.join(KEYS)})"
            self._add(key, value, reason, f"Remove it: {remove}")
        return False

    def _is_moved(self, key: str) -> bool:
        """Refuse the former form of a key, which held a value of each app."""
        if key not in _MOVED:
            return False
        named = _parse(key, self.values[key])
        if key in KEYS and not isinstance(named, dict):
            return False  # one value for all apps
        moves = [
            reference.set_to(f"apps.{app}.{_MOVED[key]}", as_written(value)) + " && "
            for app, value in (sorted(named.items()) if isinstance(named, dict) else ())
        ]
        reason = f"has been replaced by apps.<name>.{_MOVED[key]}"
        fix = f"Set it: {''.join(moves)}pulumi config rm {key}"
        self._add(key, self.values[key], reason, fix)
        return True

    def _drop_defaults_of_missing_apps(self, raw: Mapping[str, Any]) -> None:
        """Drop default weights, which Pulumi hands over as if they were set, of missing apps."""
        weights = raw.get("weights")
        if isinstance(weights, dict):
            for app in DEFAULT_WEIGHTS.keys() - set(self.apps):
                if str(weights.get(app)) == str(DEFAULT_WEIGHTS[app]):
                    del weights[app]

    def _check_app_names(self, path: str, named: object) -> None:
        """Refuse and drop the values of apps that do not exist."""
        if not isinstance(named, dict):
            return
        for app in list(named):
            if not APP_NAME.fullmatch(app):
                reason = "belongs to a name that is not a DNS label of at most 30 small letters, "
                reason += "digits and hyphens that starts with a letter"
            elif app not in self.apps:
                reason = f"belongs to no app: there is no folder apps/{app}"
                reason += f" (apps: {', '.join(self.apps) or 'none'})"
            else:
                continue
            key = f"{path}.{app}"
            self._add(key, named.pop(app), reason, f"Remove it: {self.fix.remove(key)}")

    def _validate(self, raw: dict[str, Any]) -> Settings:
        """Validate the keys; a faulty value is dropped, so that the others are checked further."""
        while True:
            try:
                return Settings.model_validate(raw)
            except ValidationError as error:
                for detail in error.errors():
                    path = [str(part) for part in detail["loc"] if part != "[key]"]
                    self._explain(".".join(path), detail)
                    _drop(raw, path)

    def _explain(self, path: str, detail: Any) -> None:
        """Turn an error of pydantic's into a problem."""
        value, reason = detail["input"], detail["msg"]
        if detail["type"] == "extra_forbidden":
            siblings = reference.names(path.rpartition(".")[0])
            close = difflib.get_close_matches(path.rpartition(".")[2], siblings, n=1)
            hint = f", did you mean {close[0]}?" if close else ""
            reason = f"is set, but there is no such key{hint} (keys: {', '.join(siblings)})"
            self._add(path, value, reason, f"Remove it: {self.fix.remove(path)}")
            return
        if detail["type"] in {"dict_type", "model_type", "model_attributes_type"}:
            reason = "is not a set of named values"
        self._add(path, value, reason, f"Set it: {self.fix.set(path)}")


def _parse(key: str, text: str) -> Any:
    """Parse named values; other text stays as it is, for the validator of its key."""
    if text.lstrip().startswith("{") or key in ("weights", *_MOVED):
        try:
            return read_pairs(text)
        except PydanticCustomError:
            return text
    return text


def _at(raw: object, path: Sequence[str]) -> object:
    """Look up a path in nested dictionaries; None where it ends early."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


def _drop(raw: dict[str, Any], path: Sequence[str]) -> None:
    """Remove the value at a path, or the innermost one around it that is in a dictionary."""
    name, *inner = path
    if inner and isinstance(raw[name], dict) and inner[0] in raw[name]:
        _drop(raw[name], inner)
    else:
        del raw[name]
