"""Errors of the verbs: one message on standard error, and the exit code."""

import sys
from typing import TYPE_CHECKING

from loadbalancer import hints

if TYPE_CHECKING:
    from loadbalancer.state.pulumi import PulumiError

WRONG_USAGE = 2


def report(error: Exception) -> int:
    """Print an error and return its exit code; raises it again when it is unexpected.

    The classes are imported here, since most runs need none of them.
    """
    from loadbalancer.config.problems import ConfigError
    from loadbalancer.display.watch import WatchError
    from loadbalancer.drift.lost import LostError
    from loadbalancer.drift.repair import RepairError
    from loadbalancer.drift.restore import StartError
    from loadbalancer.engine import ENGINE_ERRORS, location
    from loadbalancer.engine.address import AddressError
    from loadbalancer.engine.wait import WaitTimeoutError
    from loadbalancer.logs.filter import FilterError
    from loadbalancer.logs.stream import LogsError
    from loadbalancer.metrics import MetricsError
    from loadbalancer.nginx.process import NginxError
    from loadbalancer.rollout.errors import (
        Ending,
        RolloutError,
        RolloutHalted,
        UpdateError,
        UsageError,
    )
    from loadbalancer.state.checkout import CheckoutError
    from loadbalancer.state.config_file import ConfigFileError
    from loadbalancer.state.identity import IdentityError
    from loadbalancer.state.pulumi import PulumiError

    if isinstance(error, (FilterError, UsageError)):
        return _print(f"error: {error}", WRONG_USAGE)
    if isinstance(error, RolloutHalted):
        return _print(f"halted: {error}", Ending.HALTED)
    if isinstance(error, AddressError):
        return _print(f"error: {error}")
    if isinstance(error, ENGINE_ERRORS):
        where = location()
        fix = f"Start it, or see why: {hints.lb('up')}"
        return _print(f"error: Docker engine {where}: {error}. {fix}")
    if isinstance(error, PulumiError) and (fix := _fix(error)):
        return _print(f"error: {error}. {fix}")
    expected = (
        CheckoutError,
        ConfigError,
        IdentityError,
        LogsError,
        LostError,
        MetricsError,
        NginxError,
        PulumiError,
        RepairError,
        RolloutError,
        ConfigFileError,
        StartError,
        UpdateError,
        WaitTimeoutError,
        WatchError,
    )
    if isinstance(error, expected):
        return _print(f"error: {error}")
    raise error


def _fix(error: "PulumiError") -> str:
    """Say what helps against an error of `pulumi`; empty where its message has to do."""
    from loadbalancer.cli.options import FOLDER
    from loadbalancer.state import passphrase
    from loadbalancer.state.project import ORGANIZATION, Project
    from loadbalancer.state.pulumi import LockedError, PassphraseError, StackNotFoundError

    project = Project.find(FOLDER)
    option = f" --stack {error.stack}" if error.stack else ""
    if isinstance(error, PassphraseError):
        return passphrase.explain(project, error.stack)
    if isinstance(error, StackNotFoundError):
        former = project.former(error.stack) if error.stack else None
        if former is None:
            return f"Create it: ./lb up{option}"
        _, name = project.qualified(error.stack)
        old, new = (f"{ORGANIZATION}/{one}/{name}" for one in (former, project.name))
        return (
            f"Pulumi.yaml names the project {project.name}, and the stack is in {former}. "
            f"Rename it as well: pulumi stack rename --stack {old} {new}"
        )
    if isinstance(error, LockedError):
        force = "" if project.file_backend else " --force"
        return f"Wait for the update to end. If it was killed: ./lb repair{option}{force}"
    return ""


def _print(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return int(code)
