"""Errors of the verbs: one message on standard error, and the exit code."""

import re
import sys

WRONG_USAGE = 2


def report(error: Exception) -> int:
    """Print an error and return its exit code; raises it again when it is unexpected.

    The classes are imported here, since most runs need none of them.
    """
    from loadbalancer.config.problems import ConfigError
    from loadbalancer.display.watch import WatchError
    from loadbalancer.drift.repair import RepairError
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
    from loadbalancer.state.config_file import SecretValueError
    from loadbalancer.state.pulumi import LockedError, PulumiError, StackNotFoundError

    if isinstance(error, (FilterError, UsageError)):
        return _print(f"error: {error}", WRONG_USAGE)
    if isinstance(error, RolloutHalted):
        return _print(f"halted: {error}", Ending.HALTED)
    if isinstance(error, AddressError):
        return _print(f"error: {error}")
    if isinstance(error, ENGINE_ERRORS):
        where = location()
        return _print(f"error: Docker engine {where}: {error}. Start it, or see why: ./lb up")
    if isinstance(error, StackNotFoundError):
        name = re.search(r"'(.+)'", str(error))
        fix = f" --stack {name[1]}" if name else ""
        return _print(f"error: {error}. Create it: ./lb up{fix}")
    if isinstance(error, LockedError):
        return _print(f"error: {error}. Wait for the update to end; a stale lock: ./lb repair")
    expected = (
        ConfigError,
        LogsError,
        MetricsError,
        NginxError,
        PulumiError,
        RepairError,
        RolloutError,
        SecretValueError,
        UpdateError,
        WaitTimeoutError,
        WatchError,
    )
    if isinstance(error, expected):
        return _print(f"error: {error}")
    raise error


def _print(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return int(code)
