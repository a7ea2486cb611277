"""The pinned versions, which `go.mod` names too, and comparing version numbers."""

from __future__ import annotations

import re

PULUMI_VERSION = "3.256.0"
DOCKER_PLUGIN_VERSION = "5.2.0"

Version = tuple[int, ...]


def parse_version(text: str) -> Version:
    """Return the leading dotted numbers of a version: "v3.256.0-dev" is (3, 256, 0).

    Raises ValueError when there is none.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a version")
    return tuple(int(number) for number in found[1].split("."))
