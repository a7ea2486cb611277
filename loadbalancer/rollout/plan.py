"""Plans: which part of the way each step goes, and how long it is watched; pure."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from loadbalancer.config.units import parse_duration, parse_percentage

_MOST_STEPS = 1000


@dataclass(frozen=True)
class Step:
    """One step: the part of the way (0 to 1) that is gone after it, and the seconds it takes."""

    part: Fraction
    seconds: float


Plan = tuple[Step, ...]


def steps(text: str, time: float) -> Plan:
    """Read `5,10,25,50,100`: percent of the way, rising to 100, each watched for so long.

    Raises:
        ValueError: when they are not.
    """
    parts = [parse_percentage(one) for one in text.split(",")]
    if parts[-1] != 1:
        raise ValueError(f"{text!r} does not end with 100")
    if not all(low < high for low, high in pairwise((Fraction(), *parts))):
        raise ValueError(f"{text!r} does not rise from above 0 to 100")
    return tuple(Step(part, time) for part in parts)


def linear(text: str) -> Plan:
    """Read `10%/60s`: every 60 s so much further; the last step may be a shorter one.

    Raises:
        ValueError: when it is not of that form.
    """
    part, time = _pace(text)
    if 1 / part > _MOST_STEPS:
        raise ValueError(f"{text!r} makes more than {_MOST_STEPS} steps")
    count = -(-1 // part)
    return tuple(Step(min(Fraction(1), number * part), time) for number in range(1, count + 1))


def canary(text: str, time: float) -> Plan:
    """Read `5%/600s`: a first step for so long, then all at once, watched for `time` seconds.

    Raises:
        ValueError: when it is not of that form.
    """
    part, first = _pace(text)
    if part == 1:
        raise ValueError(f"{text!r} leaves nothing for after it")
    return Step(part, first), Step(Fraction(1), time)


def at_once(time: float) -> Plan:
    """All the way in one step, watched for so many seconds."""
    return (Step(Fraction(1), time),)


def _pace(text: str) -> tuple[Fraction, float]:
    part, slash, time = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is not a percentage and a time, such as 10%/60s")
    step = parse_percentage(part)
    if not step:
        raise ValueError(f"{text!r} goes nowhere")
    return step, float(parse_duration(time))
