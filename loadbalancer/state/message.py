"""The message of an update: what a person reads, and trailers as Git's commits have; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_TRAILER = re.compile(r"^(Rollout|Kind|By|Undoes): (.+)$", re.MULTILINE)
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


class Kind(StrEnum):
    """What an update is to a rollout."""

    STEP = "step"
    REACHED = "reached"
    BACK = "rolled back"


@dataclass(frozen=True)
class Message:
    """A message: its text, and what the trailers say; empty for an update by anybody else.

    `undoes` are the first and the last number of the updates that this one takes back.
    """

    text: str
    kind: Kind | None = None
    rollout: str = ""
    by: str = ""
    undoes: tuple[int, int] | None = None


def write(message: Message) -> str:
    """Write a message with its trailers, as `parse` reads it."""
    trailers = {
        "Rollout": message.rollout,
        "Kind": message.kind,
        "By": message.by,
        "Undoes": "-".join(map(str, message.undoes)) if message.undoes else "",
    }
    lines = [f"{key}: {value}" for key, value in trailers.items() if value]
    return message.text + "\n\n" + "\n".join(lines)


def parse(text: str) -> Message:
    """Read a message, whoever wrote it."""
    body, blank, last = text.rpartition("\n\n")
    found = dict(_TRAILER.findall(last)) if blank else {}
    if "Kind" not in found or found["Kind"] not in set(Kind):
        return Message(text)
    undone = _RANGE.fullmatch(found.get("Undoes", ""))
    return Message(
        text=body,
        kind=Kind(found["Kind"]),
        rollout=found.get("Rollout", ""),
        by=found.get("By", ""),
        undoes=(int(undone[1]), int(undone[2])) if undone else None,
    )


def weights(values: Mapping[str, int]) -> str:
    """Write weights as they are given on the command line."""
    return ",".join(f"{app}={weight}" for app, weight in sorted(values.items()))
