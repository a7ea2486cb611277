"""Weights that stand between two others; pure arithmetic."""

from collections.abc import Mapping
from fractions import Fraction
from math import lcm

from loadbalancer.config.values import HIGHEST_WEIGHT

_Shares = dict[str, Fraction]


def shares(weights: Mapping[str, int]) -> _Shares:
    """Return each app's part of all, 0 to 1; some weight must be above 0."""
    total = sum(weights.values())
    return {app: Fraction(weight, total) for app, weight in weights.items()}


def between(before: Mapping[str, int], target: Mapping[str, int], part: Fraction) -> dict[str, int]:
    """Go a part of the way from the shares of one set of weights to those of another.

    An app that one of the two does not name has share 0 there. At part 0 and 1 the weights are
    those given. In between they are the whole numbers from 0 to 1000 whose shares come nearest:
    for every possible sum each app gets its exact share of it rounded down, but at least 1 where
    it gets anything; what is left goes to those with the largest remainders. The sum with the
    smallest largest deviation wins, and of several the smallest. So shares that whole numbers
    up to 1000 can express are exact.

    Args:
        before: weights from which it goes, not all 0.
        target: weights to which it goes, not all 0.
        part: 0 to 1.
    """
    if part in (0, 1):
        return dict(target if part else before)
    old, new = shares(before), shares(target)
    exact = {
        app: (1 - part) * old.get(app, Fraction()) + part * new.get(app, Fraction())
        for app in sorted(old | new)
    }
    return nearest(exact)


def nearest(exact: Mapping[str, Fraction]) -> dict[str, int]:
    """Find the whole numbers from 0 to 1000 whose shares come nearest to these, whose sum is 1."""
    common = lcm(*(share.denominator for share in exact.values()))
    parts = {app: int(share * common) for app, share in exact.items()}
    best: dict[str, int] = {}
    best_off, best_total = 0, 1
    # The app with the most has at most the highest weight, or one more by rounding.
    for total in range(1, (HIGHEST_WEIGHT + 1) * common // max(parts.values()) + 1):
        found = _apportion(parts, common, total)
        if found is None:
            continue
        off = max(abs(found[app] * common - part * total) for app, part in parts.items())
        if not best or off * best_total < best_off * total:
            best, best_off, best_total = found, off, total
        if not off:
            break
    return best


def _apportion(parts: Mapping[str, int], common: int, total: int) -> dict[str, int] | None:
    """Share out a total by largest remainders; None where it cannot be."""
    found = {app: max(part * total // common, 1 if part else 0) for app, part in parts.items()}
    left = total - sum(found.values())
    if left < 0:
        return None
    largest = sorted(
        (app for app in parts if found[app] * common <= parts[app] * total),
        key=lambda app: (-(parts[app] * total % common), app),
    )
    for app in largest[:left]:
        found[app] += 1
    return found if max(found.values()) <= HIGHEST_WEIGHT else None
