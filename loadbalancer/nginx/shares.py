"""Shares: server weights and percentages from app weights, exact over one cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, count
from math import gcd, lcm

_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class Rotation:
    """The table from which nginx picks the server of each request (nginx/njs/pick.js).

    Every server has as many positions in the cycle as its weight: those of `servers[i]` end before
    `bounds[i]`. The requests go through the `total` positions in steps of `stride`.
    """

    servers: tuple[str, ...]
    bounds: tuple[int, ...]
    total: int
    stride: int


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


def rotation(weights: Mapping[str, int]) -> Rotation:
    """Build the table of a rotation.

    The stride has no factor in common with the length of the cycle, so that every window of that
    length meets each position once, and shares are exact in it. It is near 0.618 of the length,
    which spreads the turns of a server evenly.

    Args:
        weights: weight of each server, at least 0; those of 0 are left out.
    """
    served = {server: weight for server, weight in weights.items() if weight}
    divisor = gcd(*served.values())
    bounds = tuple(accumulate(weight // divisor for weight in served.values()))
    total = bounds[-1] if bounds else 0
    return Rotation(tuple(served), bounds, total, _stride(total) if total else 0)


def _stride(total: int) -> int:
    """Find the whole number nearest to 0.618 of a length without a factor in common with it."""
    near = int(total * _GOLDEN_RATIO + 0.5)
    return next(
        step
        for off in count()
        for step in (near - off, near + off)
        if step > 0 and gcd(step, total) == 1
    )
