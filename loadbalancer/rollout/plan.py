"""The plan of a rollout, and the weights between the present ones and the target."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from loadbalancer.config import units
from loadbalancer.config.model import DEFAULT_STEPS, RolloutSettings
from loadbalancer.config.values import HIGHEST_WEIGHT


@dataclass(frozen=True)
class Step:
    """One step: the fraction of the way (0 to 1) that it reaches, and its duration in seconds."""

    fraction: Fraction
    seconds: float


Plan = tuple[Step, ...]


def plan_from_settings(settings: RolloutSettings) -> Plan:
    """Make the plan that settings ask for; DEFAULT_STEPS where they name none.

    A linear plan has equal steps, of which the last may be shorter; a canary plan has one step
    and then all; `at_once` is one step.
    """
    duration = float(units.parse_duration(settings.step_time))
    if settings.linear:
        fraction, seconds = units.parse_linear(settings.linear)
        count = -(-1 // fraction)
        return tuple(
            Step(min(Fraction(1), number * fraction), float(seconds))
            for number in range(1, count + 1)
        )
    if settings.canary:
        fraction, seconds = units.parse_canary(settings.canary)
        return Step(fraction, float(seconds)), Step(Fraction(1), duration)
    if settings.at_once:
        return (Step(Fraction(1), duration),)
    steps = units.parse_steps(settings.steps or DEFAULT_STEPS)
    return tuple(Step(fraction, duration) for fraction in steps)


def confirmed_steps(settings: RolloutSettings) -> frozenset[int]:
    """Return the numbers, from 1, of the steps that wait for a confirmation."""
    if settings.confirm is None:
        return frozenset()
    return units.parse_step_numbers(settings.confirm, len(plan_from_settings(settings)))


def shares(weights: Mapping[str, int]) -> dict[str, Fraction]:
    """Return the share of each app, 0 to 1; some weight must be above 0."""
    total = sum(weights.values())
    return {app: Fraction(weight, total) for app, weight in weights.items()}


def interpolate(
    before: Mapping[str, int], target: Mapping[str, int], fraction: Fraction
) -> dict[str, int]:
    """Return weights whose shares lie a fraction of the way between those of two others.

    An app that is missing in one of the two has share 0 there. At 0 and 1 the weights are those
    given; in between they are the nearest that whole numbers from 0 to 1000 can express.

    Args:
        before: weights at the start, not all 0.
        target: weights at the end, not all 0.
        fraction: 0 to 1.
    """
    if fraction in (0, 1):
        return dict(target if fraction else before)
    old, new = shares(before), shares(target)
    return nearest(
        {
            app: (1 - fraction) * old.get(app, Fraction()) + fraction * new.get(app, Fraction())
            for app in sorted(old | new)
        }
    )


def nearest(exact: Mapping[str, Fraction]) -> dict[str, int]:
    """Find the whole numbers from 0 to 1000 whose shares come nearest to these, whose sum is 1.

    For each possible sum of the weights, every app gets its exact share of it rounded down, and at
    least 1 if its share is above 0; the rest goes to the largest remainders. The sum is used whose
    largest deviation is smallest; of several such sums, the smallest. So shares that whole numbers
    up to 1000 can express are exact.
    """
    common = lcm(*(share.denominator for share in exact.values()))
    parts = {app: int(share * common) for app, share in exact.items()}
    best: dict[str, int] = {}
    best_deviation, best_total = 0, 1
    # The app with the largest share has the highest weight at most, or one more by rounding.
    for total in range(1, (HIGHEST_WEIGHT + 1) * common // max(parts.values()) + 1):
        found = _apportion(parts, common, total)
        if found is None:
            continue
        deviation = max(abs(found[app] * common - part * total) for app, part in parts.items())
        if not best or deviation * best_total < best_deviation * total:
            best, best_deviation, best_total = found, deviation, total
        if not deviation:
            break
    return best


def _apportion(parts: Mapping[str, int], common: int, total: int) -> dict[str, int] | None:
    """Divide a total by largest remainders; None where the minimum of 1, or the maximum, fails."""
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
