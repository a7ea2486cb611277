"""Problem: a fault in a stack's configuration, as the user reads it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault: the key, its value, the reason, and what fixes it, with a command."""

    key: str
    value: object
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key}: {as_written(self.value)} {self.reason}. {self.fix}"


def as_written(value: object) -> str:
    """Write a value as a user of the command line writes it."""
    if isinstance(value, str):
        return value if re.fullmatch(r"\S+", value) else repr(value)
    return json.dumps(value, default=str)


class ConfigError(ValueError):
    """An invalid configuration, with every problem that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
