"""Version numbers, compared as numbers."""

from __future__ import annotations

import re

Version = tuple[int, ...]


def parse_version(text: str) -> Version:
    """Return the leading dotted numbers of a version: "v3.256.0-dev" is (3, 256, 0).

    Raises ValueError when there is none.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no version")
    return tuple(int(part) for part in found[1].split("."))
