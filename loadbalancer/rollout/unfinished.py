"""The rollout of a stack that has not ended, by its record in the config.

It reads without Pulumi and without pydantic, so that commands that only look answer at once.
"""

from collections.abc import Mapping
from contextlib import suppress

from loadbalancer.rollout.control import this_process
from loadbalancer.rollout.errors import RolloutError
from loadbalancer.rollout.status import RolloutStatus, fix_by_force
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile, ConfigFileError
from loadbalancer.state.message import format_weights
from loadbalancer.state.project import Project


class Unfinished:
    """Reads the record of one stack's rollout."""

    def __init__(self, project: Project, stack: str) -> None:
        self._project = project
        self._stack = stack

    def text(self) -> str | None:
        """Read the text of the record; None without one.

        Raises:
            RolloutError: when the config cannot be read.
        """
        try:
            return ConfigFile(self._project, self._stack).record()
        except ConfigFileError as error:
            raise RolloutError(
                f"{error}. Correct it, or get it back from Git. If a rollout is in progress: "
                + fix_by_force(self._stack, "the file, of which a copy is kept")
            ) from error

    def status(self, text: str) -> RolloutStatus:
        """Read a record; what is none was written by somebody else, or by another version.

        Raises:
            RolloutError: when it is none.
        """
        try:
            return RolloutStatus.parse(text)
        except ValueError as error:
            raise RolloutError(
                f"{error}. {fix_by_force(self._stack, 'it')}; or remove it: "
                f"pulumi config rm {RECORD_KEY} --stack {self._stack}"
            ) from error

    def find(self) -> RolloutStatus | None:
        """Read the record of a rollout that this host may continue; None without one.

        Raises:
            RolloutError: when the record is of another host, or cannot be read.
        """
        text = self.text()
        status = None if text is None else self.status(text)
        if status is not None and status.holder.host != this_process().host:
            raise RolloutError(
                f"{status.holder} has a rollout of {self._stack} in progress. "
                "End it there, or remove its record: "
                f"pulumi config rm {RECORD_KEY} --stack {self._stack}"
            )
        return status

    def get(self) -> RolloutStatus:
        """Read the record of the rollout that this host may continue.

        Raises:
            RolloutError: when there is none, it is of another host, or it cannot be read.
        """
        status = self.find()
        if status is None:
            raise RolloutError(
                f"no rollout of {self._stack} is in progress. "
                f"Start one: ./lb rollout start --to {self._example()} --stack {self._stack}"
            )
        return status

    def _example(self) -> str:
        with suppress(ValueError):
            return example(ConfigFile(self._project, self._stack).settings().weights)
        return "app1=0,app2=100"


def example(weights: Mapping[str, int]) -> str:
    """Write target weights with which the last app gets all requests."""
    *others, last = sorted(weights)
    return format_weights({**dict.fromkeys(others, 0), last: 100})
