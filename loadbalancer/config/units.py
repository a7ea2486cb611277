"""Percentages, durations, sizes, steps and paces, as people write them in the configuration."""

import re
from fractions import Fraction
from itertools import pairwise

MAX_STEPS = 1000
"""Most steps that a rollout may have."""

_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%?")
_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?) ?(ms|s|min|m|h)?")
_SIZE = re.compile(r"(\d{1,7}) ?(k|m|g)i?b?", re.IGNORECASE)
_STEP_NUMBERS = re.compile(r"[1-9]\d{0,3}( *, *[1-9]\d{0,3})*")
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "h": Fraction(3600),
}
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}
_LONGEST_TIMEOUT = 24 * 3600
_SMALLEST_HEADER, _LARGEST_HEADER = 4 * 2**10, 2**20
"""nginx takes a buffer of each size for each request, so that it must stay small."""


def parse_percentage(text: str) -> Fraction:
    """Read `5`, `5%` or `0.5 %` as a fraction, 0 to 1.

    Raises:
        ValueError: when the text is not a percentage from 0 to 100.
    """
    found = _PERCENTAGE.fullmatch(text.strip())
    fraction = Fraction(found[1]) / 100 if found else Fraction(2)
    if fraction > 1:
        raise ValueError(f"{text!r} is not a percentage such as 5%")
    return fraction


def format_percentage(fraction: Fraction) -> str:
    """Write a fraction as a percentage with as few digits as it needs, at most six."""
    return f"{float(100 * fraction):.6g}%"


def parse_duration(text: str) -> Fraction:
    """Read `500ms`, `60s`, `60`, `10min` or `1h` as seconds.

    Raises:
        ValueError: when the text is not a duration.
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 60s or 10min")
    return Fraction(found[1]) * _SECONDS[found[2] or "s"]


def parse_positive_duration(text: str) -> Fraction:
    """Read a duration above 0 as seconds.

    Raises:
        ValueError: when the text is not a duration, or is 0.
    """
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError(f"{text!r} is not a duration above 0")
    return seconds


def parse_timeout(text: str) -> Fraction:
    """Read the time that somebody may be silent as seconds: above 0, and at most a day.

    Raises:
        ValueError: when the text is no such duration.
    """
    seconds = parse_positive_duration(text)
    if seconds > _LONGEST_TIMEOUT:
        raise ValueError(f"{text!r} is longer than 24h")
    return seconds


def parse_size(text: str) -> int:
    """Read `100MB`, `32 KB` or `1g` as bytes; as in nginx, 1 KB is 1,024 bytes.

    Raises:
        ValueError: when the text is not a size above 0.
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * _BYTES[found[2].lower()] if found else 0
    if not size:
        raise ValueError(f"{text!r} is not a size such as 32KB, 100MB or 1GB")
    return size


def parse_header_size(text: str) -> int:
    """Read the size of a header as bytes.

    Raises:
        ValueError: when the text is not a size from 4KB to 1MB.
    """
    size = parse_size(text)
    if not _SMALLEST_HEADER <= size <= _LARGEST_HEADER:
        raise ValueError(f"{text!r} is not a size from 4KB to 1MB")
    return size


def parse_steps(text: str) -> tuple[Fraction, ...]:
    """Read `5,10,25,50,100` as the fraction of the way (0 to 1) after each step.

    Raises:
        ValueError: when the percentages do not rise from above 0 to exactly 100.
    """
    fractions = tuple(parse_percentage(one) for one in text.split(","))
    if fractions[-1] != 1:
        raise ValueError(f"{text!r} does not end with 100")
    if not all(low < high for low, high in pairwise((Fraction(), *fractions))):
        raise ValueError(f"{text!r} does not rise from above 0 to 100")
    return fractions


def parse_pace(text: str) -> tuple[Fraction, Fraction]:
    """Read `10%/60s` as a fraction of the way, above 0, and seconds.

    Raises:
        ValueError: when the text is not of that form.
    """
    percentage, slash, duration = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is not a percentage and a time, such as 10%/60s")
    fraction = parse_percentage(percentage)
    if not fraction:
        raise ValueError(f"{text!r} has no percentage above 0")
    return fraction, parse_duration(duration)


def parse_linear(text: str) -> tuple[Fraction, Fraction]:
    """Read the pace of a linear plan: the fraction of each step, and its seconds.

    Raises:
        ValueError: when the text is not a pace, or makes more than MAX_STEPS steps.
    """
    fraction, seconds = parse_pace(text)
    if 1 / fraction > MAX_STEPS:
        raise ValueError(f"{text!r} makes more than {MAX_STEPS} steps")
    return fraction, seconds


def parse_canary(text: str) -> tuple[Fraction, Fraction]:
    """Read the first step of a canary plan: its fraction, below 1, and its seconds.

    Raises:
        ValueError: when the text is not a pace, or its percentage is 100.
    """
    fraction, seconds = parse_pace(text)
    if fraction == 1:
        raise ValueError(f"{text!r} leaves nothing for the second step")
    return fraction, seconds


def parse_step_numbers(text: str, count: int) -> frozenset[int]:
    """Read `1,3` or `all` as numbers of steps, from 1; those above `count` are not left out.

    Args:
        text: the numbers.
        count: how many steps `all` means.

    Raises:
        ValueError: when the text is neither.
    """
    if text == "all":
        return frozenset(range(1, count + 1))
    if not _STEP_NUMBERS.fullmatch(text):
        raise ValueError(f"{text!r} is neither a list of steps such as 1,3 nor all")
    return frozenset(int(number) for number in text.split(","))
