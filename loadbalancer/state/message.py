"""The message of an update: text for people, and trailers as the messages of Git commits have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_TRAILER = re.compile(r"^(Rollout|Kind|By|Undoes): (.+)$", re.MULTILINE)
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


class Kind(StrEnum):
    """The role of an update in a rollout."""

    STEP = "step"
    REACHED = "reached"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Message:
    """A message: its text and its trailers, which are empty in messages of other updates.

    `rollout` is the id of the rollout, `by` the user, and `undoes` the first and the last number
    of the updates that this one rolls back.
    """

    text: str
    kind: Kind | None = None
    rollout: str = ""
    by: str = ""
    undoes: tuple[int, int] | None = None


def write(message: Message) -> str:
    """Write a message with its trailers; `parse` is the inverse."""
    trailers = {
        "Rollout": message.rollout,
        "Kind": message.kind,
        "By": message.by,
        "Undoes": "-".join(map(str, message.undoes)) if message.undoes else "",
    }
    lines = [f"{key}: {value}" for key, value in trailers.items() if value]
    return message.text + "\n\n" + "\n".join(lines)


def parse(text: str) -> Message:
    """Read a message; one without our trailers is text alone."""
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


SECRET = "[secret]"  # noqa: S105 - it is in place of one
"""What is shown in place of an encrypted value, as in Pulumi."""


def format_weights(weights: Mapping[str, int]) -> str:
    """Write weights as the command line takes them: `app1=6,app2=4`."""
    return ",".join(f"{app}={weight}" for app, weight in sorted(weights.items()))
