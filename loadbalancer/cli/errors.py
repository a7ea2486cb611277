"""Errors of the verbs: one message on standard error, and the exit code."""

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
    from loadbalancer.logs.filter import FilterError
    from loadbalancer.logs.stream import LogsError
    from loadbalancer.metrics import MetricsError
    from loadbalancer.rollout.errors import Ending, RolloutError, RolloutHalted, UsageError
    from loadbalancer.state.pulumi import PulumiError

    if isinstance(error, (FilterError, UsageError)):
        return _print(f"error: {error}", WRONG_USAGE)
    if isinstance(error, RolloutHalted):
        return _print(f"halted: {error}", Ending.HALTED)
    if isinstance(error, ENGINE_ERRORS):
        return _print(f"error: the Docker engine {location()} answers: {error}. Check it: ./lb up")
    if isinstance(
        error,
        (ConfigError, LogsError, MetricsError, PulumiError, RepairError, RolloutError, WatchError),
    ):
        return _print(f"error: {error}")
    raise error


def _print(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return int(code)
