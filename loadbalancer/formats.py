"""Numbers as people read them; pure."""

UNKNOWN = "-"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def percentage(part: float | None) -> str:
    """Write a part (0 to 1) of a whole."""
    return UNKNOWN if part is None else f"{100 * part:.1f}%"


def rate(per_second: float | None) -> str:
    """Write how many there are in a second."""
    return UNKNOWN if per_second is None else f"{per_second:.1f}"


def duration(seconds: float | None) -> str:
    """Write how long something short took."""
    if seconds is None:
        return UNKNOWN
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.{1 if seconds < 0.1 else 0}f} ms"  # noqa: PLR2004 - three digits


def age(seconds: float) -> str:
    """Write how long ago something was, in its largest unit."""
    seconds = max(0, round(seconds))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds > unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
