"""Numbers and text as people read them."""

import re

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


_HIDDEN = re.compile(r"[^\t -~]")


def escape_control_chars(text: str) -> str:
    r"""Write what cannot be seen as its escape, such as \x1b, so that it cannot drive a terminal.

    That is control characters (tabs stay), signs that turn the direction of writing, other line
    ends than the one that ends a line, and halves of characters.
    """
    return _HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    one = found[0]
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
