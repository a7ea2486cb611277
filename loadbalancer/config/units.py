"""Percentages and durations as people write them; pure."""

import re
from fractions import Fraction

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%?")
_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,3})?) ?(ms|s|min|m|h)?")
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "h": Fraction(3600),
}


def percent(text: str) -> Fraction:
    """Read `5`, `5%` or `0.5 %` as a part of a whole, 0 to 1.

    Raises:
        ValueError: when it is none.
    """
    found = _PERCENT.fullmatch(text.strip())
    part = Fraction(found[1]) / 100 if found else Fraction(2)
    if part > 1:
        raise ValueError(f"{text!r} is not a percentage such as 5%")
    return part


def seconds(text: str) -> Fraction:
    """Read `500ms`, `60s`, `60`, `10min` or `1h` as seconds.

    Raises:
        ValueError: when it is no duration.
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 60s or 10min")
    return Fraction(found[1]) * _SECONDS[found[2] or "s"]


def written(part: Fraction) -> str:
    """Write a part of a whole as a percentage."""
    return f"{float(100 * part):.6g}%"
