"""Paths of keys, such as `apps.app1.limits.memory`, as `pulumi config --path` reads them."""

import json
import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PART = re.compile(r'\["(?P<quoted>(?:[^"\\]|\\.)*)"\]|(?P<plain>[^.\[]+)|(?P<other>.)', re.DOTALL)


def join(parts: Sequence[str]) -> str:
    """Write a path; names with dots and the like stand in brackets: `weights["my.app"]`."""
    path = ""
    for part in parts:
        if _PLAIN.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(part, ensure_ascii=False)}]"
    return path


def split(path: str) -> list[str]:
    """Read a path that `join` has written."""
    return [
        re.sub(r"\\(.)", r"\1", found["quoted"]) if found["plain"] is None else found["plain"]
        for found in _PART.finditer(path)
        if found["other"] is None
    ]
