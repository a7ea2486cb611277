"""The real World: a stack of Pulumi's, its nginx, a terminal and the clock."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from pulumi import automation
from pulumi.automation.errors import CommandError, ConcurrentUpdateError

from loadbalancer import engine, metrics
from loadbalancer.config.problems import ConfigError
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics.reading import Reading
from loadbalancer.nginx.live_route import RouteError, RunningRoute
from loadbalancer.nginx.reweight import reweighted
from loadbalancer.rollout import record as records
from loadbalancer.rollout.asking import Person
from loadbalancer.rollout.environment import Answer, BusyError, Request, UpdateError
from loadbalancer.rollout.errors import HeldError
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.holding import Desk, me
from loadbalancer.rollout.record import Progress
from loadbalancer.state import lock
from loadbalancer.state.config_file import SettingsFile
from loadbalancer.state.history import Update
from loadbalancer.state.pulumi import Detached
from loadbalancer.state.update_list import PulumiHistory

_METRICS_TIMEOUT = 2.0
_UPDATE = Wait(timeout=600, interval=0.5)
"""How long an update of a process that is gone may still take."""
_LONGEST_REASON = 300


class RealWorld:
    """One process at work on one stack, which is up."""

    def __init__(
        self, project: Path, stack: str, person: Person, show: Callable[[Event], None]
    ) -> None:
        """Find the stack.

        Args:
            project: the project's folder.
            stack: the stack's name.
            person: whoever is at the terminal.
            show: told what happens.

        Raises:
            StackNotFoundError: when the backend has no such stack.
        """
        self._project = project
        self._name = stack
        self._person = person
        self._show = show
        self._command = Detached()
        options = automation.LocalWorkspaceOptions(pulumi_command=self._command)
        self.stack = automation.select_stack(stack, work_dir=str(project), opts=options)
        workspace = self.stack.workspace
        self.file = SettingsFile(project, stack)
        self.desk = Desk(project, stack)
        self._backend = workspace.who_am_i().url or ""
        self._project_name = workspace.project_settings().name
        self.history = PulumiHistory(self._pulumi, self._backend, self._project_name, stack)
        self.outputs: Mapping[str, Any] = {
            key: one.value for key, one in self.stack.outputs().items()
        }
        holder = me()
        self.user = f"{holder.user}@{holder.host}"

    def _pulumi(self, *arguments: str) -> str:
        return self._command.run(list(arguments), str(self._project), {}).stdout

    def now(self) -> float:
        """Tell the time."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        time.sleep(seconds)

    def emit(self, event: Event) -> None:
        """Show what happened."""
        self._show(event)

    def reading(self) -> Reading:
        """Read nginx's counters."""
        return metrics.read(str(self.outputs["adminUrl"]), _METRICS_TIMEOUT)

    def record(self) -> Progress | None:
        """Read the record in the config; what is none was written by somebody else."""
        try:
            return self.file.record()
        except ValueError as error:
            raise HeldError(str(error), ours=False) from error

    def weights(self) -> Mapping[str, int]:
        """Read the weights in the config."""
        try:
            return self.file.settings().weights
        except ConfigError as error:
            raise HeldError(f"somebody else made the config one that cannot be: {error}") from error

    def config(self) -> dict[str, str]:
        """Digest the config's other values."""
        return self.file.digests()

    def updates(self, after: int) -> list[Update]:
        """List the later updates."""
        try:
            return [update for update in self.history.all() if update.number > after]
        except CommandError as error:
            raise HeldError(f"the history cannot be read: {_reason(error)}") from error

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        """Write the record, and the weights with it, as one change of the config file."""
        values: dict[str, Any] = {records.KEY: {"value": progress.write(), "secret": False}}
        if weights is not None:
            values.update(as_config(weights))
        self.set_all(values)

    def set_all(self, values: Mapping[str, Any]) -> None:
        """Write values, in the form of `pulumi config --json`, as one change of the file."""
        self._pulumi("config", "set-all", "--stack", self._name, "--json", json.dumps(values))

    def forget(self) -> None:
        """Take the record out of the config."""
        self._pulumi("config", "rm", records.KEY, "--stack", self._name)

    def up(self, message: str) -> None:
        """Run a real `up`."""
        try:
            done = self.stack.up(message=visible_lines(message), show_secrets=False)
        except ConcurrentUpdateError as error:
            raise BusyError(_reason(error)) from error
        except CommandError as error:
            raise UpdateError(_reason(error)) from error
        self.outputs = {key: one.value for key, one in done.outputs.items()}

    def wait_for_updates(self) -> None:
        """Let an update end that a process which is gone had begun; release a lock of nobody's.

        Raises:
            UpdateError: when it takes too long.
        """

        def look() -> object:
            alive = [holder for holder in self._locks() if holder.lives()]
            return f"process {alive[0].pid} on {alive[0].host}" if alive else None

        try:
            _UPDATE.until("the update that is running to end", look)
        except WaitTimeoutError as error:
            raise UpdateError(str(error)) from error
        if self._locks():
            self.stack.cancel()

    def _locks(self) -> list[lock.Holder]:
        return lock.holders(self._backend, self._project_name, self._name)

    def reroute(self, weights: Mapping[str, int]) -> None:
        """Put the weights into the running nginx by the way that an update takes in the end.

        An update spends seconds before it gets there. What cannot be done here is left to it.
        """
        try:
            name = str(self.outputs["containers"]["nginx"])
            nginx = RunningRoute(engine.connect().containers.get(name))
            text = reweighted(nginx.text(), weights)
            if text is not None:
                nginx.apply(text)
        except (KeyError, DockerException, RouteError, WaitTimeoutError):
            return

    def hook(self, command: str, environment: Mapping[str, str]) -> int:
        """Run a shell's command in the project's folder; what it prints goes to our errors."""
        done = subprocess.run(  # noqa: S602 - it is the user's own command line
            command,
            shell=True,
            cwd=self._project,
            env={**os.environ, **environment, "ROLLOUT_STACK": self._name},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            check=False,
        )
        return done.returncode

    def request(self) -> Request | None:
        """Take what another terminal has asked."""
        return self.desk.asked()

    def answered(self, question: str) -> bool | None:
        """Look whether the person here has answered."""
        return self._person.answered(question)

    def interrupted(self) -> Answer | None:
        """Ask after a Ctrl-C."""
        return self._person.interrupted()


def as_config(weights: Mapping[str, int]) -> dict[str, Any]:
    """Write weights as `pulumi config --json` does: an object, so that --path works on it."""
    values = dict(weights)
    return {
        "loadbalancer:weights": {
            "value": json.dumps(values),
            "objectValue": values,
            "secret": False,
        }
    }


def visible_lines(text: str) -> str:
    """Make each line safe to show."""
    return "\n".join(escape_control_chars(line) for line in text.splitlines())


def _reason(error: CommandError) -> str:
    """Find in what Pulumi said the lines that say what is wrong."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line.partition("error: ")[2] for line in lines if "error: " in line]
    told = [line for line in dict.fromkeys(told) if line and line != "update failed"]
    return escape_control_chars("; ".join(told) or lines[-1])[:_LONGEST_REASON]
