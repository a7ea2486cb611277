"""What a rollout is to do, and whether it can be begun; refused before anything changes. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from loadbalancer.config import checks
from loadbalancer.config.model import PLANS, RolloutSettings
from loadbalancer.rollout.errors import RolloutError, UsageError
from loadbalancer.state.history import Update
from loadbalancer.state.message import Kind
from loadbalancer.state.message import weights as written


def settings(configured: RolloutSettings, given: Mapping[str, Any]) -> RolloutSettings:
    """Lay what was given over what the config has; a plan that was given is the only one.

    Raises:
        UsageError: when they do not fit together, with a line for each fault.
    """
    config = configured.model_dump(exclude_unset=True)
    if any(kind in given for kind in PLANS):
        config = {key: value for key, value in config.items() if key not in PLANS}
    try:
        found = RolloutSettings.model_validate({**config, **given})
    except ValidationError as error:
        faults = [f"--{_option(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise UsageError("\n".join(faults)) from None
    faults = [f"--{_option((key,))}: {reason}" for key, _, reason in checks.rollout_conflicts(found)]
    if faults:
        raise UsageError("\n".join(faults))
    if not found.to:
        raise UsageError(
            "where to? --to app1=0,app2=100, or once for all: "
            "pulumi config set --path rollout.to.app2 100"
        )
    return found


def check(wanted: RolloutSettings, before: Mapping[str, int], folders: Collection[str]) -> None:
    """Compare the target with the apps that there are.

    Args:
        wanted: where to, and how.
        before: weights of the apps that are deployed.
        folders: apps that have a folder.

    Raises:
        UsageError: when one app of the target is not there, or a deployed one is not in it.
    """
    unknown = sorted(wanted.to.keys() - set(folders))
    if unknown:
        raise UsageError(f"--to: there is no folder apps/{unknown[0]}")
    unnamed = sorted(before.keys() - wanted.to.keys())
    if unnamed:
        raise UsageError(f"--to: say what becomes of {unnamed[0]}, which is deployed")


def check_stack(
    stack: str, before: Mapping[str, int], outputs: Mapping[str, Any], history: Sequence[Update]
) -> None:
    """Compare the weights in the config with the stack's outputs and history.

    Raises:
        RolloutError: when the stack is not up, or somebody has left something half done.
    """
    if "adminUrl" not in outputs:
        raise RolloutError(
            f"stack {stack} is not up, or has no admin port. Bring it up: make up STACK={stack}"
        )
    deployed = {app: int(weight) for app, weight in outputs.get("weights", {}).items()}
    if deployed != dict(before):
        raise RolloutError(
            f"the config says {written(before)}, and {written(deployed)} are in force. "
            "Bring that to an end first: pulumi up"
        )
    if history and history[-1].message.kind is Kind.STEP:
        raise RolloutError(
            f"a rollout that was begun elsewhere, by {history[-1].who}, has not ended. End it "
            f"there, or go back: make rollback STACK={stack}"
        )


def _option(path: tuple[int | str, ...]) -> str:
    """Name the option of a setting."""
    words = ".".join(str(part) for part in path if part != "[key]")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in words.replace("_", "-"))
