"""A stack's updates as Pulumi's history has them, and which of them was stable; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import PydanticCustomError

from loadbalancer.config.model import DEFAULT_WEIGHTS
from loadbalancer.config.values import pairs
from loadbalancer.rollout import record
from loadbalancer.rollout.blend import shares
from loadbalancer.state import message
from loadbalancer.state.message import Kind, Message

_WEIGHTS = "loadbalancer:weights"


@dataclass(frozen=True)
class Update:
    """One update: its number from 1, when it began, what it was, and how it ended.

    `what` is Pulumi's word, such as update or destroy; `weights` are those of its config, None
    where they cannot be read. `during` says that a rollout was under way when it ran.
    """

    number: int
    time: datetime
    what: str
    result: str
    message: Message
    who: str
    weights: Mapping[str, int] | None
    during: bool

    @property
    def succeeded(self) -> bool:
        """Tell whether it brought the stack to its config."""
        return self.what == "update" and self.result == "succeeded"


def parse(listed: Sequence[Mapping[str, Any]]) -> list[Update]:
    """Read what `pulumi stack history --json` prints for all updates; returns the oldest first.

    A file backend does not number its updates, so they are counted.
    """
    every = [one for one in reversed(listed) if one.get("result") != "in-progress"]
    return [_update(number, one) for number, one in enumerate(every, 1)]


def _update(number: int, one: Mapping[str, Any]) -> Update:
    said = message.parse(one.get("message", ""))
    config = {key: held.get("value", "") for key, held in one.get("config", {}).items()}
    started = datetime.fromisoformat(one["startTime"])
    return Update(
        number=int(one.get("version") or number),
        time=started if started.tzinfo else started.replace(tzinfo=UTC),
        what=one.get("kind", ""),
        result=one.get("result", ""),
        message=said,
        who=said.by,
        weights=_weights(config.get(_WEIGHTS)),
        during=record.KEY in config,
    )


def _weights(text: str | None) -> dict[str, int] | None:
    if text is None:
        return dict(DEFAULT_WEIGHTS)
    try:
        found = pairs(text)
        given = {app: int(weight) for app, weight in found.items()}  # type: ignore[attr-defined]
    except (PydanticCustomError, ValueError, TypeError, AttributeError):
        return None
    return {**DEFAULT_WEIGHTS, **given}


def foreign(updates: Iterable[Update], rollout: str) -> Update | None:
    """Find an update that a rollout did not make itself."""
    return next((one for one in updates if one.message.rollout != rollout), None)


def stable(updates: Sequence[Update]) -> list[Update]:
    """List the updates that were good as far as is known, the oldest first.

    That is a rollout's end, a way back, and anybody's update outside a rollout; not one that
    failed, a step on the way, or one that was taken back later.
    """
    undone = [one.message.undoes for one in updates if one.message.undoes and one.succeeded]
    return [
        one
        for one in updates
        if one.succeeded
        and one.weights is not None
        and any(one.weights.values())
        and one.message.kind is not Kind.STEP
        and not (one.during and one.message.kind is None)
        and not any(first <= one.number <= last for first, last in undone)
    ]


def last_stable(updates: Sequence[Update], present: Mapping[str, int]) -> Update | None:
    """Find the newest stable update with other shares than the present ones."""
    return next(
        (
            one
            for one in reversed(stable(updates))
            if one.weights is not None and not same(one.weights, present)
        ),
        None,
    )


def same(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Tell whether weights come to the same shares; an app without any may be missing."""
    if not any(one.values()) or not any(other.values()):
        return False
    first, second = shares(one), shares(other)
    return all(first.get(app, 0) == second.get(app, 0) for app in first | second)
