"""The updates of a stack: from Pulumi's history, and which of them were stable."""

import gzip
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from loadbalancer.state import message
from loadbalancer.state.config_file import RECORD_KEY, is_secret
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import Pulumi

_PAGE = 1000
UNKNOWN = object()
"""An encrypted value."""
_SUFFIXES = (".history.json", ".history.json.gz")


@dataclass(frozen=True)
class Update:
    """One update: its number from 1, when it began, what it was, and how it ended.

    `what` is Pulumi's word, such as update or destroy; `config` is the value of the weights in its
    config: a text, an object, or None for none. `secret` says that they are encrypted there, so
    that they must not be shown; until they are decrypted they are UNKNOWN. `folders` are the apps
    that exist now, `record` is the text of the record of the rollout that was in progress, and
    `environment` what Pulumi noted of where it ran.
    """

    number: int
    time: datetime
    what: str
    result: str
    message: Message
    config: object
    record: str | None = None
    secret: bool = False
    folders: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def during(self) -> bool:
        """Whether a rollout was in progress."""
        return self.record is not None

    @property
    def who(self) -> str:
        """User who ran it: user@host of our messages, else whom Git names; empty without both.

        Pulumi notes the author and the committer of the checked-out commit, not who runs it.
        """
        noted = (self.environment.get(f"git.{role}") for role in ("committer", "author"))
        return self.message.by or next((name for name in noted if name), "")

    @property
    def commit(self) -> str:
        """Commit that was checked out, in full; empty where Pulumi found none."""
        return self.environment.get("git.head", "")

    @property
    def why(self) -> str:
        """Text of its message, which is the subject of the commit where none was given."""
        return self.message.text

    @cached_property
    def weights(self) -> Mapping[str, int] | None:
        """Weights of the apps that it deployed; None where they are not known or not valid."""
        return None if self.config is UNKNOWN else _weights(self.config, self.folders)

    @property
    def succeeded(self) -> bool:
        """Tell whether it brought the stack to its config."""
        return self.what == "update" and self.result == "succeeded"


class History:
    """The history of one stack: read from the files of a file backend, else from `pulumi`."""

    def __init__(self, project: Project, stack: str, pulumi: Pulumi | None = None) -> None:
        self._project = project
        self._stack = stack
        self._pulumi = pulumi or Pulumi(project.folder)
        self._entries: dict[str, Mapping[str, Any]] = {}

    @property
    def folder(self) -> Path | None:
        """Folder of a file backend with the history of this stack; None on other backends."""
        backend = self._project.file_backend
        stack = self._stack.rpartition("/")[2]
        return None if backend is None else backend / "history" / self._project.name / stack

    def all(self, *, decrypt: bool = False) -> list[Update]:
        """List all updates, the oldest first.

        Args:
            decrypt: decrypt the weights that are secret. It takes a Pulumi process.

        Raises:
            PulumiError: when `pulumi` fails.
        """
        entries = self._from_files()
        if entries is None:
            entries = self._from_pulumi()
        updates = self._parse(entries)
        if decrypt and any(update.secret for update in updates):
            return self._parse(self._from_pulumi("--show-secrets"))
        return updates

    def last_entry(self) -> Mapping[str, Any] | None:
        """Return the newest entry of a file backend as it is, encrypted values too."""
        return next(iter(self._from_files() or ()), None)

    def from_files(self) -> list[Update]:
        """List the updates as far as files tell them, so without a process."""
        return self._parse(self._from_files() or [])

    def _parse(self, entries: Sequence[Mapping[str, Any]]) -> list[Update]:
        folder = self._project.folder / "apps"
        found = folder.iterdir() if folder.is_dir() else ()
        folders = [path.name for path in found if not path.name.startswith("_") and path.is_dir()]
        return parse(entries, self._project.name, folders)

    def _from_files(self) -> list[Mapping[str, Any]] | None:
        """Read the files, each once, the newest first; None where there are none to read."""
        if self.folder is None or not self.folder.is_dir():
            return None
        names = sorted(path.name for path in self.folder.iterdir() if ".history." in path.name)
        # An extension for a compression that the standard library lacks is left to `pulumi`.
        if not all(name.endswith(_SUFFIXES) for name in names):
            return None
        for name in names:
            if name not in self._entries:
                try:
                    self._entries[name] = _read(self.folder / name)
                except ValueError:  # it is being written
                    names = [other for other in names if other != name]
        return [self._entries[name] for name in reversed(names)]

    def _from_pulumi(self, *more: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for page in range(1, 1000):
            options = (*more, "--page-size", str(_PAGE), "--page", str(page))
            text = self._pulumi.run("stack", "history", "--json", *options, stack=self._stack)
            some = json.loads(text or "[]")
            found += some
            if len(some) < _PAGE:
                break
        return found


def _read(path: Path) -> Mapping[str, Any]:
    data = path.read_bytes()
    try:
        entry = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError) as error:  # what gzip raises
        raise ValueError(str(error)) from error
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    return entry


def parse(
    entries: Sequence[Mapping[str, Any]], project: str, folders: Collection[str] = ()
) -> list[Update]:
    """Read entries, the newest first, as files or `pulumi stack history --json` have them.

    Args:
        entries: the entries; a file backend does not number them, so they are counted.
        project: the project's name, which is the namespace of its config.
        folders: apps that have a folder; a default weight is one of them.

    Returns:
        The updates, the oldest first.
    """
    ended = [one for one in reversed(entries) if one.get("result") != "in-progress"]
    return [_update(number, one, project, folders) for number, one in enumerate(ended, 1)]


def _update(number: int, one: Mapping[str, Any], project: str, folders: Collection[str]) -> Update:
    config = one.get("config") or {}
    weights, secret = _value(config.get(f"{project}:weights"))
    record, _ = _value(config.get(RECORD_KEY))
    if record is not None and not isinstance(record, str):
        record = "" if record is UNKNOWN else json.dumps(record)
    return Update(
        number=int(one.get("version") or number),
        time=_time(one["startTime"]),
        what=one.get("kind", ""),
        result=one.get("result", ""),
        message=message.parse(one.get("message", "")),
        config=weights,
        record=record,
        secret=secret,
        folders=tuple(folders),
        environment=one.get("environment") or {},
    )


def _time(value: object) -> datetime:
    """Read seconds since the epoch, as in a file, or RFC 3339, as `pulumi` prints."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    time = datetime.fromisoformat(str(value))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _value(value: object) -> tuple[object, bool]:
    """Return a config value, UNKNOWN where it is encrypted, and whether it is a secret.

    A file has the value itself or `{"secure": ...}`; `pulumi` prints an object about it, in which
    the value of a secret is missing unless it was asked to show it.
    """
    if isinstance(value, Mapping) and isinstance(value.get("secret"), bool):
        secret = value["secret"]
        missing = UNKNOWN if secret else None
        return value.get("objectValue", value.get("value", missing)), secret
    return (UNKNOWN, True) if is_secret(value) else (value, False)


def _weights(value: object, folders: Collection[str]) -> dict[str, int] | None:
    """Read weights as the program does, with the apps that exist now."""
    # They take long to import, and `rollout status` shows no weights of an update.
    from pydantic_core import PydanticCustomError  # noqa: PLC0415

    from loadbalancer.config.model import DEFAULT_WEIGHTS  # noqa: PLC0415
    from loadbalancer.config.values import read_pairs  # noqa: PLC0415

    try:
        found = read_pairs(value) if value else {}
        given = {app: int(weight) for app, weight in found.items()}  # type: ignore[attr-defined]
    except (PydanticCustomError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(value, str) and value.strip():
        return given  # a text is the whole set
    defaults = {app: weight for app, weight in DEFAULT_WEIGHTS.items() if app in folders}
    # Pulumi hands over the defaults of Pulumi.yaml as if they were set.
    missing = DEFAULT_WEIGHTS.keys() - set(folders)
    own = {
        app: weight
        for app, weight in given.items()
        if app not in missing or weight != DEFAULT_WEIGHTS[app]
    }
    return {**defaults, **own}


def foreign(updates: Iterable[Update], rollout: str) -> Update | None:
    """Find the first update that a rollout did not make itself, by the rollout's id."""
    return next((one for one in updates if one.message.rollout != rollout), None)


def stable(updates: Sequence[Update]) -> list[Update]:
    """List the updates that a rollback may go to, the oldest first.

    These are successful updates with known weights: the end of a rollout, a rollback, and any
    update outside a rollout. Steps are not, nor is what was rolled back later.
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
    """Tell whether weights give the same shares; an app with weight 0 may be missing."""
    total, other_total = sum(one.values()), sum(other.values())
    if not total or not other_total:
        return False
    return all(
        one.get(app, 0) * other_total == other.get(app, 0) * total
        for app in one.keys() | other.keys()
    )
