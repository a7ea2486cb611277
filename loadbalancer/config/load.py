"""Load: the text of a stack's configuration as checked settings, or every fault in it."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from loadbalancer.config import checks, paths, reference
from loadbalancer.config.fix_commands import FixCommands
from loadbalancer.config.model import DEFAULT_WEIGHTS, KEYS, Settings
from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.config.values import read_pairs
from loadbalancer.names import APP_NAME

_NAMED_BY_APP = ("weights", "apps", "rollout.to")
"""Keys whose values are named by apps."""
_MOVED = {"replicas": "replicas", "directPorts": "directPort"}
"""Former keys that held a value of each app, and the key below `apps.<name>` that replaced them."""
_PAIRS = ("weights", "baseImages", "http", "limits", "perClient", "to", *_MOVED)
"""Names of keys, at any depth, whose value may be a list such as `app1=7,app2=3`."""


def load(
    values: Mapping[str, object],
    apps: Collection[str],
    *,
    fix: FixCommands | None = None,
    base_images: Mapping[str, str] | None = None,
) -> Settings:
    """Check a stack's configuration against the apps that exist.

    Weights that are a text, a list or JSON, are the whole set. Those that are an object, as
    `--path` writes it, are merged over the defaults of the apps that exist.

    Args:
        values: the value of each key that is set, without the project's name: a text as it was
            typed, or an object.
        apps: names of the folders under apps/ that can be built.
        fix: the commands for the configuration.
        base_images: images that this machine has in place of the defaults of `baseImages`.

    Returns:
        Settings whose weights name every app that is deployed.

    Raises:
        ConfigError: with every fault that was found.
    """
    fix = fix or FixCommands(values)
    loader = _Loader(values, apps, fix, base_images or {})
    settings = loader.load()
    if loader.problems:
        # Once more: one command for a text fixes all the faults in it, which are known now.
        again = _Loader(values, apps, fix, base_images or {})
        again.load()
        raise ConfigError(again.problems)
    return settings


class _Loader:
    def __init__(
        self,
        values: Mapping[str, object],
        apps: Collection[str],
        fix: FixCommands,
        base_images: Mapping[str, str],
    ) -> None:
        self.values = values
        self.apps = sorted(apps)
        self.fix = fix
        self.base_images = base_images
        self.problems: list[Problem] = []

    def load(self) -> Settings:
        raw = {
            key: _parse(key, value)
            for key, value in self.values.items()
            if self._is_known(key) and not self._is_moved(key)
        }
        for path in _NAMED_BY_APP:
            self._check_app_names(path, _at(raw, path.split(".")))
        self._add_base_images(raw)
        settings = self._validate(raw)
        settings = settings.model_copy(update={"weights": self._weights(settings)})
        faulty = {paths.split(problem.key)[0] for problem in self.problems}
        self.problems += checks.conflicts(settings, self.fix, faulty, self.apps)
        return settings

    def _weights(self, settings: Settings) -> dict[str, int]:
        """Return the weights of the apps that are deployed."""
        given = settings.weights if "weights" in settings.model_fields_set else {}
        text = self.values.get("weights")
        if not isinstance(text, str) or not text.strip():
            given = {
                app: DEFAULT_WEIGHTS[app] for app in DEFAULT_WEIGHTS if app in self.apps
            } | given
        return dict(sorted(given.items()))

    def _add_base_images(self, raw: dict[str, Any]) -> None:
        """Add the images of this machine where the configuration names none."""
        given = raw.get("baseImages", {})
        if isinstance(given, dict) and self.base_images:
            raw["baseImages"] = {**self.base_images, **given}

    def _add(self, key: str, value: object, reason: str, fix: str) -> None:
        shown = "[secret]" if self.fix.is_secret(key) else value
        self.problems.append(Problem(key, shown, reason, fix))

    def _is_known(self, key: str) -> bool:
        """Refuse a key that is neither in the model nor a former one."""
        if key in KEYS or key in _MOVED:
            return True
        value = self.values[key]
        first, *inner = paths.split(key)
        remove = self.fix.remove_key(key)
        if len(inner) == 1 and first in _MOVED:
            path = paths.join(("apps", inner[0], _MOVED[first]))
            fix = f"Set it: {self._move(path, value)}{remove}"
            self._add(key, value, f"has been replaced by {path}", fix)
        elif inner and first in KEYS and reference.example(".".join((first, *inner))):
            path = paths.join((first, *inner))
            fix = f"Set it: {self._move(path, value)}{remove}"
            self._add(key, value, "was set without --path", fix)
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
            self._move(paths.join(("apps", app, _MOVED[key])), value)
            for app, value in (sorted(named.items()) if isinstance(named, dict) else ())
        ]
        reason = f"has been replaced by apps.<name>.{_MOVED[key]}"
        fix = f"Set it: {''.join(moves)}{self.fix.remove_key(key)}"
        self._add(key, self.values[key], reason, fix)
        return True

    def _move(self, path: str, value: object) -> str:
        """Name the command that sets a key to the value of a former one, if it is valid there.

        Nothing is moved to an app that does not exist.
        """
        first, *inner = paths.split(path)
        if first in _NAMED_BY_APP and inner[0] not in self.apps:
            return ""
        nested: Any = value
        for name in reversed(inner):
            nested = {name: nested}
        try:
            Settings.model_validate({first: nested})
        except ValidationError:
            value = None
        return f"{self.fix.set(path, value)} && "

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
            key = paths.join((*path.split("."), app))
            self._add(key, named.pop(app), reason, f"Remove it: {self.fix.remove(key)}")

    def _validate(self, raw: dict[str, Any]) -> Settings:
        """Validate the keys; a faulty value is dropped, so that the others are checked further."""
        while True:
            try:
                return Settings.model_validate(raw)
            except ValidationError as error:
                for detail in error.errors():
                    path = [str(part) for part in detail["loc"] if part != "[key]"]
                    self._explain(path, detail)
                    _drop(raw, path)

    def _explain(self, parts: Sequence[str], detail: Any) -> None:
        """Turn an error of pydantic's into a problem."""
        path, value, reason = paths.join(parts), detail["input"], detail["msg"]
        if detail["type"] == "extra_forbidden":
            siblings = reference.names(".".join(parts[:-1]))
            close = difflib.get_close_matches(parts[-1], siblings, n=1)
            hint = f", did you mean {close[0]}?" if close else ""
            reason = f"is set, but there is no such key{hint} (keys: {', '.join(siblings)})"
            self._add(path, value, reason, f"Remove it: {self.fix.remove(path)}")
            return
        if detail["type"] in {"dict_type", "model_type", "model_attributes_type"}:
            reason = "is not a set of named values"
        self._add(path, value, reason, f"Set it: {self.fix.set(path)}")


def _parse(key: str, value: object) -> Any:
    """Parse named values, at any depth; other text stays as it is, for the validator of its key."""
    if isinstance(value, str) and (value.lstrip().startswith("{") or key in _PAIRS):
        with suppress(PydanticCustomError):
            value = read_pairs(value)
    if isinstance(value, dict):
        return {name: _parse(name, inner) for name, inner in value.items()}
    return value


def _at(raw: object, path: Sequence[str]) -> object:
    """Look up a path in nested dictionaries; None where it ends early."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


def _drop(raw: dict[str, Any], path: Sequence[str]) -> None:
    """Remove the value at a path, or the innermost one around it that is in a dictionary."""
    name, *inner = path
    if name not in raw:
        return  # with another fault of the same value
    if inner and isinstance(raw[name], dict) and inner[0] in raw[name]:
        _drop(raw[name], inner)
    else:
        del raw[name]
