"""The options of `./lb rollout start`, laid over the config, and the checks before it starts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from loadbalancer import hints
from loadbalancer.config import checks
from loadbalancer.config.model import PLANS, RolloutSettings
from loadbalancer.rollout.errors import RolloutError, UsageError
from loadbalancer.state.history import Update
from loadbalancer.state.message import SECRET, Kind, format_weights


@dataclass(frozen=True)
class Option:
    """One option: `name` as in `--max-p99`, `field` of RolloutSettings, and the config `key`.

    `default` is empty where there is none; a `flag` takes no value.
    """

    name: str
    field: str
    key: str
    default: str
    description: str
    example: str
    flag: bool


def all_options() -> list[Option]:
    """List the options, which are the fields of RolloutSettings."""
    found = []
    for name, field in RolloutSettings.model_fields.items():
        flag = isinstance(field.default, bool)
        default = field.get_default(call_default_factory=True)
        found.append(
            Option(
                name=f"--{name.replace('_', '-')}",
                field=name,
                key=f"rollout.{field.alias or name}",
                default=format_weights(default) if isinstance(default, dict) else _text(default),
                description=field.description or "",
                example="" if flag else str((field.examples or [""])[0]),
                flag=flag,
            )
        )
    return found


def _text(default: object) -> str:
    return "" if default is None or isinstance(default, bool) else str(default)


def resolve(
    configured: RolloutSettings, given: Mapping[str, object], example: str = "app1=0,app2=100"
) -> RolloutSettings:
    """Lay options over the config; a plan among the options replaces the one of the config.

    Args:
        configured: the value of `rollout` in the config.
        given: values of options by the names of their fields, such as `max_p99`.
        example: target weights for the message that they are missing.

    Raises:
        UsageError: when options are invalid, with a line for each fault.
    """
    config = configured.model_dump(exclude_unset=True)
    if any(given.get(plan) for plan in PLANS):
        config = {key: value for key, value in config.items() if key not in PLANS}
    try:
        found = RolloutSettings.model_validate({**config, **given})
    except ValidationError as error:
        faults = [f"{_name(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise UsageError("\n".join(faults)) from None
    faults = [f"{_name((key,))}: {reason}" for key, _, reason in checks.rollout_conflicts(found)]
    if faults:
        raise UsageError("\n".join(faults))
    if not found.to:
        raise UsageError(
            "--to: missing target weights, also in rollout.to of the configuration. Name them: "
            f"{hints.lb(f'rollout start --to {example}')}"
        )
    return found


def check_target(
    settings: RolloutSettings, before: Mapping[str, int], folders: Collection[str]
) -> None:
    """Compare the target with the apps that exist. Deployed apps of weight 0 need no target.

    Args:
        settings: those of the rollout.
        before: weights of the apps that are deployed.
        folders: apps that have a folder.

    Raises:
        UsageError: when an app of the target has no folder, or one with a share has no target.
    """
    unknown = sorted(settings.to.keys() - set(folders))
    if unknown:
        raise UsageError(f"--to: {unknown[0]} has no folder apps/{unknown[0]}")
    unnamed = sorted(app for app, weight in before.items() if weight and app not in settings.to)
    if unnamed:
        raise UsageError(
            f"--to: {unnamed[0]} has a share and no target weight. Name one: {unnamed[0]}=0"
        )


def with_idle_apps(settings: RolloutSettings, before: Mapping[str, int]) -> RolloutSettings:
    """Add the apps that are deployed and not named to the target, which keeps them at weight 0."""
    idle = {app: 0 for app in before.keys() - settings.to.keys()}
    return settings.model_copy(update={"to": {**idle, **settings.to}})


def check_stack(
    stack: str,
    before: Mapping[str, int],
    outputs: Mapping[str, Any],
    updates: Sequence[Update],
    *,
    secret: bool = False,
) -> None:
    """Compare the weights in the config with the stack's outputs and history.

    Weights that are secret are not in the message.

    Raises:
        RolloutError: when the stack is not up, or an update or a rollout has not been completed.
    """
    if "adminUrl" not in outputs or not updates:
        raise RolloutError(
            f"stack {stack} is not up, or has no admin port. Bring it up: ./lb up --stack {stack}"
        )
    deployed = _deployed(outputs)
    if deployed is not None and deployed != dict(before):
        has, force = (SECRET if secret else format_weights(one) for one in (before, deployed))
        raise RolloutError(
            f"weights: the config has {has}, and {force} are "
            f"in force. Bring the stack to its config first: ./lb up --stack {stack}"
        )
    if updates[-1].message.kind is Kind.STEP:
        raise RolloutError(
            f"a rollout that was started elsewhere, by {updates[-1].who}, has not ended. End it "
            f"there, or roll back: ./lb rollback --stack {stack}"
        )


def _deployed(outputs: Mapping[str, Any]) -> dict[str, int] | None:
    """Read the weights among a stack's outputs; None where they are encrypted."""
    try:
        return {app: int(weight) for app, weight in outputs.get("weights", {}).items()}
    except (AttributeError, TypeError, ValueError):
        return None


def _name(path: tuple[int | str, ...]) -> str:
    """Name the option of a setting, from the path of pydantic's errors."""
    words = ".".join(str(key) for key in path if key != "[key]")
    return "--" + "".join(f"-{c.lower()}" if c.isupper() else c for c in words.replace("_", "-"))
