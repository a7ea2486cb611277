"""The start of `./lb rollout abort --force`, where the record or the whole file may be lost."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from loadbalancer.rollout import record
from loadbalancer.rollout.errors import RolloutError
from loadbalancer.rollout.record import Progress
from loadbalancer.state import deployment
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile, ConfigFileError
from loadbalancer.state.history import History
from loadbalancer.state.message import Kind
from loadbalancer.state.project import Project

_ENDED = frozenset({Kind.REACHED, Kind.ROLLED_BACK})


def prepare(file: ConfigFile, history: History, stack: str) -> Progress:
    """Find the record of the rollout: in the config, else in the last update that had it.

    Raises:
        RolloutError: when no rollout is in progress.
    """
    try:
        text = file.record()
        if text is not None:
            return record.read(text)
    except ValueError:
        pass  # the file is broken, or the record in it
    for update in reversed(history.all()):
        if update.message.kind in _ENDED and update.succeeded:
            break
        if update.record:
            try:
                return record.read(update.record)
            except ValueError:
                break
    raise RolloutError(
        f"no rollout of {stack} is in progress, neither by its config nor by its history. "
        f"Return to earlier weights: ./lb rollback --stack {stack}"
    )


def restore(project: Project, stack: str, file: ConfigFile) -> Iterator[str]:
    """Write the config anew as the last update had it, if the file cannot be read or is missing.

    A broken file is kept under another name, with what was changed in it after the last update.

    Yields:
        What was done, for people.

    Raises:
        RolloutError: when the config of the last update is not known.
    """
    path = project.stack_file(stack)
    try:
        file.values()
        if path.exists():
            return
        reason = f"{path.name} is missing"
    except ConfigFileError as error:
        reason = str(error)
    entry = History(project, stack).last_entry()
    if entry is None:
        raise RolloutError(f"{reason}. Get the file back from Git")
    provider = (deployment.load(project, stack).get("secrets_providers") or {}).get("state") or {}
    content: dict[str, Any] = {}
    if "salt" in provider:
        content["encryptionsalt"] = provider["salt"]
    defaults = yaml.safe_load((project.folder / "Pulumi.yaml").read_text()).get("config") or {}
    content["config"] = {
        key: value
        for key, value in (entry.get("config") or {}).items()
        if key == RECORD_KEY or not _is_default(key.partition(":")[2], value, defaults)
    }
    yield f"{reason}."
    if path.exists():
        kept = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.broken")
        path.rename(kept)
        yield f"It is kept as {kept.name}."
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False))
    yield f"{path.name} has the config of the last update again."


def _is_default(key: str, value: object, defaults: Mapping[str, Any]) -> bool:
    """Tell whether a value of an update is the one in Pulumi.yaml, which Pulumi adds to them."""
    described = defaults.get(key)
    default = described.get("default") if isinstance(described, Mapping) else None
    return value == default or (isinstance(value, str) and value == str(default))
