"""Text of others, made safe to show; pure."""

import re

_HIDDEN = re.compile(r"[^\t -~]")


def visible(text: str) -> str:
    r"""Write what cannot be seen as its escape, such as \x1b, so that it cannot drive a terminal.

    That is control characters (tabs stay), signs that turn the direction of writing, other line
    ends than the one that ends a line, and halves of characters.
    """
    return _HIDDEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    one = found[0]
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")
