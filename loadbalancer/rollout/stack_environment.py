"""The real environment: a Pulumi stack, its nginx, a terminal and the clock."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from loadbalancer import metrics
from loadbalancer.config.problems import ConfigError
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout import record
from loadbalancer.rollout.control import Answer, Control, Operator, Request, this_process
from loadbalancer.rollout.environment import Event
from loadbalancer.rollout.errors import BusyError, RolloutHalted, UpdateError
from loadbalancer.rollout.record import Progress
from loadbalancer.state import deployment, lock
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile
from loadbalancer.state.history import History, Update
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import LockedError, Pulumi, PulumiError

_METRICS_TIMEOUT = 2.0
"""Seconds that nginx has to answer; a check without metrics is inconclusive."""
_UPDATE = Wait(timeout=600, interval=0.5)
"""How long the update of a process that is gone may still take."""


class StackEnvironment:
    """What a rollout does to one stack, and reads of it."""

    def __init__(
        self,
        project: Project,
        stack: str,
        control: Control,
        operator: Operator,
        show: Callable[[Event], None],
    ) -> None:
        """Read the stack's outputs.

        Args:
            project: the project.
            stack: the stack's name; it is never selected.
            control: where requests of other terminals arrive.
            operator: the person at the terminal.
            show: called with every event.

        Raises:
            StackNotFoundError: when the backend has no such stack.
            PulumiError: when the outputs cannot be read.
        """
        self._project = project
        self._stack = stack
        self._control = control
        self._operator = operator
        self._show = show
        self._pulumi = Pulumi(project.folder)
        self.file = ConfigFile(project, stack)
        self.history = History(project, stack)
        self.outputs: Mapping[str, Any] = deployment.outputs(project, stack)
        holder = this_process()
        self.user = f"{holder.user}@{holder.host}"

    def now(self) -> float:
        """Return the time."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        time.sleep(seconds)

    def emit(self, event: Event) -> None:
        """Show an event."""
        self._show(event)

    def reading(self) -> Reading:
        """Read nginx's counters; raises MetricsError."""
        return metrics.read(str(self.outputs["adminUrl"]), _METRICS_TIMEOUT)

    def record(self) -> Progress | None:
        """Read the record in the config; an unreadable one was written by somebody else."""
        try:
            text = self.file.record()
            return None if text is None else record.read(text)
        except ValueError as error:
            raise RolloutHalted(str(error), ours=False) from error

    def weights(self) -> Mapping[str, int]:
        """Read the weights in the config."""
        try:
            return self.file.settings().weights
        except ConfigError as error:
            raise RolloutHalted(f"somebody else made the config invalid: {error}") from error
        except ValueError as error:
            raise RolloutHalted(str(error)) from error

    def config(self) -> dict[str, str]:
        """Return a digest of each other value of the config."""
        return self.file.digests()

    def updates(self, after: int) -> list[Update]:
        """List the later updates."""
        try:
            return [update for update in self.history.all() if update.number > after]
        except PulumiError as error:
            raise RolloutHalted(f"the history could not be read: {error}") from error

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        """Write the record, and the weights with it, as one change of the config file."""
        values: dict[str, Any] = {RECORD_KEY: {"value": progress.write(), "secret": False}}
        if weights is not None:
            values.update(self._as_config(weights))
        self._pulumi.set_all(self._stack, values)

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Write the weights into the config."""
        self._pulumi.set_all(self._stack, self._as_config(weights))

    def _as_config(self, weights: Mapping[str, int]) -> dict[str, Any]:
        """Write weights as `pulumi config --json` does: an object, so that --path works on it."""
        values = dict(weights)
        key = f"{self._project.name}:weights"
        return {key: {"value": json.dumps(values), "objectValue": values, "secret": False}}

    def forget(self) -> None:
        """Remove the record from the config."""
        self._pulumi.run("config", "rm", RECORD_KEY, stack=self._stack)

    def up(self, message: str) -> None:
        """Run `pulumi up`, as one process, and read the outputs again; raises UpdateError."""
        lines = "\n".join(escape_control_chars(line) for line in message.splitlines())
        try:
            self._pulumi.up(self._stack, message=lines)
            self.outputs = deployment.outputs(self._project, self._stack)
        except LockedError as error:
            raise BusyError(str(error)) from error
        except PulumiError as error:
            raise UpdateError(str(error)) from error

    def wait_for_updates(self) -> None:
        """Let the update of a process that is gone end; release a stale lock.

        Raises:
            UpdateError: when it takes too long.
        """

        def look() -> object:
            alive = [holder for holder in self._locks() if holder.lives()]
            return f"process {alive[0].pid} on {alive[0].host}" if alive else None

        try:
            _UPDATE.until("the running update to end", look)
        except WaitTimeoutError as error:
            raise UpdateError(str(error)) from error
        if self._locks():
            self._pulumi.run("cancel", "--yes", stack=self._stack)

    def _locks(self) -> list[lock.Holder]:
        return lock.holders(self._project, self._stack)

    def reroute(self, weights: Mapping[str, int]) -> None:
        """Write the weights into the running nginx, as the update that follows does in the end.

        An update takes seconds until it gets there. What fails here is left to the update.
        """
        from loadbalancer import engine  # noqa: PLC0415 - Docker's SDK takes long to import
        from loadbalancer.nginx.live_route import LiveRoute, RouteError  # noqa: PLC0415
        from loadbalancer.nginx.upstream import reweighted  # noqa: PLC0415

        try:
            name = str(self.outputs["containers"]["nginx"])
            route = LiveRoute(engine.connect().containers.get(name))
            text = reweighted(route.text(), weights)
            if text is not None:
                route.apply(text)
        except (KeyError, *engine.ENGINE_ERRORS, RouteError, WaitTimeoutError):
            return

    def hook(self, command: str, environment: Mapping[str, str]) -> int:
        """Run a shell command in the project's folder; its output goes to our stderr."""
        done = subprocess.run(  # noqa: S602 - it is the user's own command line
            command,
            shell=True,
            cwd=self._project.folder,
            env={**os.environ, **environment, "ROLLOUT_STACK": self._stack},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            check=False,
        )
        return done.returncode

    def request(self) -> Request | None:
        """Take the request of another terminal."""
        return self._control.receive()

    def answer(self, question: str) -> bool | None:
        """Return the operator's answer, if there is one."""
        return self._operator.answer(question)

    def interruption(self) -> Answer | None:
        """After Ctrl-C, ask the operator."""
        return self._operator.interruption()
