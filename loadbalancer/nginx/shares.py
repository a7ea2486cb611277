"""Shares: server weights and percentages from app weights, exact over one cycle."""

from collections.abc import Mapping
from fractions import Fraction
from math import gcd, lcm


def server_weights(weights: Mapping[str, int], replicas: Mapping[str, int]) -> dict[str, int]:
    """Compute the whole-number weight of each app's servers that keeps the shares exact.

    An app's share is its weight divided by the sum of the weights, however many replicas it has.
    The numbers are the smallest possible, so that the cycle is as short and as even as possible.

    Args:
        weights: weight of each app, at least 0, not all 0.
        replicas: number of servers of each app, at least 1.

    Returns:
        Weight of one server of each app; 0 where the app has no share.
    """
    common = lcm(*(replicas[app] for app in weights))
    scaled = {app: weight * (common // replicas[app]) for app, weight in weights.items()}
    divisor = gcd(*scaled.values())
    return {app: weight // divisor for app, weight in scaled.items()}


def cycle_length(per_server: Mapping[str, int], replicas: Mapping[str, int]) -> int:
    """Count the requests after which every share is exact."""
    return sum(weight * replicas[app] for app, weight in per_server.items())


def percentages(weights: Mapping[str, int]) -> dict[str, float]:
    """Express each app's weight as a percentage of all, rounded to two places."""
    total = sum(weights.values())
    return {app: round(float(Fraction(weight * 100, total)), 2) for app, weight in weights.items()}
