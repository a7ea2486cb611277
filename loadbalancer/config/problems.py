"""A fault in a stack's configuration, as the user reads it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault: which key, what it holds, why that cannot be, and the command that mends it."""

    key: str
    value: object
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {_as_written(self.value)} {self.reason}. {self.remedy}"


def _as_written(value: object) -> str:
    """Show a value as a user of the command line writes it."""
    if isinstance(value, str):
        return value if re.fullmatch(r"\S+", value) else repr(value)
    return json.dumps(value, default=str)


class ConfigError(ValueError):
    """All the faults that one look at the configuration found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
