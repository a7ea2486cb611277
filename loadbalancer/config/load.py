"""The text of a stack's configuration as checked settings, or everything that is wrong; pure."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from loadbalancer.config.fix_commands import Remedies, is_object, set_to
from loadbalancer.config.model import (
    DEFAULT_ADMIN_PORT,
    DEFAULT_PORT,
    DEFAULT_WEIGHTS,
    EVERY_APP,
    KEYS,
    Settings,
)
from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.config.rollout import RolloutSettings
from loadbalancer.config.values import pairs
from loadbalancer.names import APP_NAME
from loadbalancer.rollout import choice


def load(values: Mapping[str, str], apps: Collection[str]) -> Settings:
    """Check a stack's configuration against the apps that exist.

    Args:
        values: the text of each key that is set, without the project's name; objects as JSON.
        apps: names of the folders under apps/ that can be built.

    Returns:
        Settings whose weights and replicas name every app that is deployed.

    Raises:
        ConfigError: with every fault found, not only the first.
    """
    return _Loader(values, apps).load()


class _Loader:
    def __init__(self, values: Mapping[str, str], apps: Collection[str]) -> None:
        self.values = values
        self.apps = sorted(apps)
        self.remedies = Remedies(values)
        self.problems: list[Problem] = []

    def load(self) -> Settings:
        known = {key: text for key, text in self.values.items() if self._is_known(key)}
        valid = self._validated(known)
        given = self._wished_weights(_as_dict(valid.get("weights")))
        direct, replicas = (_as_dict(valid.get(key)) for key in ("directPorts", "replicas"))
        for key, named in (("weights", given), ("directPorts", direct), ("replicas", replicas)):
            self._check_app_names(key, named)
        weights = dict(sorted({**self._default_weights(), **given}.items()))
        every = replicas.get(EVERY_APP, 1)
        replicas = {app: replicas.get(app, every) for app in weights}
        self._check_ports(
            {
                "port": valid.get("port", DEFAULT_PORT),
                "adminPort": valid.get("adminPort", DEFAULT_ADMIN_PORT),
                **{f"directPorts.{app}": number for app, number in _whole(direct).items()},
            }
        )
        self._check_direct(_whole(direct), _whole(replicas))
        self._check_rollout(valid.get("rollout"))
        if not any(problem.key.startswith("weights") for problem in self.problems):
            self._check_total(weights)
        if self.problems:
            raise ConfigError(self.problems)
        return Settings(**{**valid, "weights": weights, "replicas": replicas})

    def _fault(self, key: str, value: object, reason: str, remedy: str) -> None:
        self.problems.append(Problem(key, value, reason, remedy))

    def _is_known(self, key: str) -> bool:
        if key in KEYS:
            return True
        close = difflib.get_close_matches(key, KEYS, n=1)
        hint = f", did you mean {close[0]}?" if close else ""
        reason = f"is set, but there is no such key{hint} (keys: {', '.join(KEYS)})"
        self._fault(key, self.values[key], reason, f"Remove it: {self.remedies.remove(key)}")
        return False

    def _validated(self, known: Mapping[str, str]) -> dict[str, Any]:
        """Validate each key by itself, so that a fault in one hides none in another."""
        valid: dict[str, Any] = {}
        for key, text in known.items():
            try:
                model = Settings.model_validate({key: text})
            except ValidationError as error:
                for detail in error.errors():
                    self._explain(detail)
                if is_object(key):
                    valid[key] = _readable(text)
            else:
                (name,) = model.model_fields_set
                valid[key] = getattr(model, name)
        return valid

    def _explain(self, detail: Any) -> None:
        """Turn an error of pydantic's into one of ours."""
        path = ".".join(str(part) for part in detail["loc"] if part not in ("[key]", EVERY_APP))
        value, reason = detail["input"], detail["msg"]
        if detail["type"] == "extra_forbidden":
            remedy = f"Remove it: {self.remedies.remove(path)}"
            self._fault(path, value, "is not a key that exists", remedy)
            return
        if detail["type"] in {"dict_type", "model_type", "model_attributes_type"}:
            reason = "is not a set of named values"
        elif detail["type"].startswith("ip_"):
            reason = "is not an IP address of the host"
        self._fault(path, value, reason, f"Set it: {self.remedies.set(path)}")

    def _wished_weights(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out the defaults of apps that are gone: they are nobody's wish."""
        gone = DEFAULT_WEIGHTS.keys() - set(self.apps)
        return {
            app: weight
            for app, weight in given.items()
            if app not in gone or weight != DEFAULT_WEIGHTS[app]
        }

    def _default_weights(self) -> dict[str, int]:
        return {app: weight for app, weight in DEFAULT_WEIGHTS.items() if app in self.apps}

    def _check_app_names(self, key: str, named: Iterable[str]) -> None:
        given = _as_dict(named)
        for app in given:
            if app == EVERY_APP:
                continue
            path = f"{key}.{app}"
            if not APP_NAME.fullmatch(app):
                reason = "belongs to a name that is not a DNS label of at most 30 small letters"
                reason += ", digits and hyphens that starts with a letter"
            elif app not in self.apps:
                reason = f"belongs to no app: there is no folder apps/{app}"
                reason += f" (apps: {', '.join(self.apps) or 'none'})"
            else:
                continue
            # Whether the value could be does not matter where there is nobody to have it.
            self.problems = [problem for problem in self.problems if problem.key != path]
            self._fault(path, given[app], reason, f"Remove it: {self.remedies.remove(path)}")

    def _check_ports(self, ports: Mapping[str, int]) -> None:
        taken: dict[int, str] = {}
        for path, number in ports.items():
            if number and number in taken:
                first = 5001 if path.startswith("directPorts") else number + 1
                later = (*range(first, 65536), *range(1024, first))
                free = next(n for n in later if n not in ports.values())
                remedy = f"Take another: {set_to(path, free)}"
                self._fault(path, number, f"is given to {taken[number]} already", remedy)
            taken.setdefault(number, path)

    def _check_direct(self, direct: Mapping[str, int], replicas: Mapping[str, int]) -> None:
        for app, number in direct.items():
            if replicas.get(app, 1) > 1:
                path = f"directPorts.{app}"
                reason = f"leads to one container, and {app} has {replicas[app]} replicas"
                self._fault(path, number, reason, f"Remove it: {self.remedies.remove(path)}")

    def _check_rollout(self, rollout: object) -> None:
        given = _as_dict(rollout.get("to") if isinstance(rollout, Mapping) else None)
        if isinstance(rollout, RolloutSettings):
            given = rollout.to
            for key, value, reason in choice.faults(rollout):
                path = f"rollout.{key}"
                self._fault(path, value, reason, f"Remove it: {self.remedies.remove(path)}")
        self._check_app_names("rollout.to", given)

    def _check_total(self, weights: Mapping[str, int]) -> None:
        if not weights:
            reason = "name no app: no folder under apps/ can be built"
            remedy = "Add apps/app1/app.py, then: pulumi config set --path weights.app1 6"
            self._fault("weights", {}, reason, remedy)
        elif not any(weights.values()):
            remedy = f"Give one a share: {self.remedies.set(f'weights.{next(iter(weights))}')}"
            self._fault("weights", weights, "are all 0, so that no app could answer", remedy)


def _readable(text: str) -> object:
    """Read what a faulty value names, so that its other faults can be told as well."""
    try:
        return pairs(text)
    except PydanticCustomError:
        return None


def _as_dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _whole(named: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in named.items() if isinstance(value, int)}
