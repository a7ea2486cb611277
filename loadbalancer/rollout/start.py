"""The start of a rollout: its options, checked against the stack, become its record."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from loadbalancer.config import apps
from loadbalancer.rollout import options
from loadbalancer.rollout.control import this_process
from loadbalancer.rollout.record import Progress
from loadbalancer.rollout.stack_environment import StackEnvironment
from loadbalancer.rollout.unfinished import example


def prepare(
    environment: StackEnvironment, folder: Path, given: Mapping[str, object]
) -> Progress | None:
    """Make the record of a rollout; None where the stack has the target weights already.

    Args:
        environment: the stack.
        folder: that of the apps.
        given: options by their fields, which override the config.

    Raises:
        UsageError: when an option is missing or invalid.
        RolloutError: when the stack is not ready for a rollout.
    """
    configured, updates = environment.file.settings(), environment.history.all()
    before, secret = configured.weights, environment.file.has_secret_weights()
    settings = options.resolve(configured.rollout, given, example(before))
    options.check_target(settings, before, apps.find(folder))
    options.check_stack(environment.stack_name, before, environment.outputs, updates, secret=secret)
    settings = options.with_idle_apps(settings, before)
    if before == settings.to:
        return None
    return Progress(
        id=secrets.token_hex(4),
        settings=settings,
        before=before,
        weights=before,
        updates=updates[-1].number,
        updated=updates[-1].time.timestamp(),
        config=environment.config(),
        holder=this_process(),
        since=environment.now(),
        secret=secret,
    )
