"""The real environment: a Pulumi stack, its nginx, a terminal and the clock."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loadbalancer import metrics
from loadbalancer.config.problems import ConfigError
from loadbalancer.engine.wait import Wait, WaitTimeoutError
from loadbalancer.formats import escape_control_chars
from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout import record
from loadbalancer.rollout.control import Answer, Command, Control, Operator, Reply, this_process
from loadbalancer.rollout.environment import Event
from loadbalancer.rollout.errors import BusyError, RolloutHalted, UpdateError
from loadbalancer.rollout.record import Progress
from loadbalancer.state import deployment, lock
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile, ConfigFileError
from loadbalancer.state.history import History, Update
from loadbalancer.state.message import format_weights
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import LockedError, Pulumi, PulumiError, StalledError

_METRICS_TIMEOUT = 2.0
"""Seconds that nginx has to answer; a check without metrics is inconclusive."""
_UPDATE = Wait(timeout=600, interval=0.5)
"""How long the update of a process that is gone may still take."""
_HOOK_POLL = 0.5
"""Seconds between two looks at the apps while a hook runs."""
_CONFIG_TIMEOUT = 60.0
"""Seconds after which a command that only changes the config counts as stalled."""


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
        self.stack_name = self._stack = stack
        self._stalled = False
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

    def probe(self, app: str) -> frozenset[str]:
        """Have nginx ask the servers of an app now; raises MetricsError."""
        return metrics.probe(str(self.outputs["adminUrl"]), app, _METRICS_TIMEOUT)

    def record(self) -> Progress | None:
        """Read the record in the config; an unreadable one was written by somebody else."""
        with self._config_readable(ours=False):
            text = self.file.record()
            return None if text is None else record.read(text)

    def weights(self) -> Mapping[str, int]:
        """Read the weights in the config."""
        with self._config_readable():
            return self.file.settings().weights

    def config(self) -> dict[str, str]:
        """Return a digest of each other value of the config."""
        with self._config_readable():
            return self.file.digests()

    @contextmanager
    def _config_readable(self, *, ours: bool = True) -> Iterator[None]:
        """Halt where somebody else has made the config unreadable."""
        try:
            yield
        except PulumiError as error:
            raise UpdateError(f"the config cannot be decrypted: {error}") from error
        except ConfigFileError as error:
            overwritten = f"{self.file.name}, of which a copy is kept"
            raise RolloutHalted(str(error), ours=False, overwritten=overwritten) from error
        except ConfigError as error:
            raise RolloutHalted(f"somebody else made the config invalid: {error}") from error
        except ValueError as error:
            raise RolloutHalted(
                str(error), ours=ours, overwritten="the record of the rollout"
            ) from error

    def updates(self, after: int) -> list[Update]:
        """List the later updates."""
        try:
            return [update for update in self.history.all() if update.number > after]
        except PulumiError as error:
            raise UpdateError(f"the history cannot be read: {error}") from error

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        """Write the record, and the weights with it, as one change of the config file."""
        values: dict[str, Any] = {RECORD_KEY: _secret_or_plain(progress.write(), progress.secret)}
        if weights is not None:
            values.update(self._as_config(weights, secret=progress.secret))
        self._change_config("set-all", "--json", json.dumps(values))

    def set_weights(self, weights: Mapping[str, int], *, secret: bool) -> None:
        """Write the weights into the config, encrypted if they are secret; raises UpdateError."""
        values = self._as_config(weights, secret=secret)
        self._change_config("set-all", "--json", json.dumps(values))

    def _as_config(self, weights: Mapping[str, int], *, secret: bool) -> dict[str, Any]:
        """Write weights in the form of `pulumi config --json`.

        Plain ones are an object, so that --path works on it. Pulumi takes no encrypted objects in
        this form, so secret ones are a text. So are those without an app that has a default: it
        would be added to an object, while a text is the whole set.
        """
        from loadbalancer.config.model import DEFAULT_WEIGHTS  # noqa: PLC0415 - slow to import

        values = dict(weights)
        folders = self._project.folder / "apps"
        whole = any((folders / app).is_dir() for app in DEFAULT_WEIGHTS.keys() - values.keys())
        described = _secret_or_plain(
            format_weights(values) if whole else json.dumps(values), secret
        )
        if not secret and not whole:
            described["objectValue"] = values
        return {f"{self._project.name}:weights": described}

    def forget(self) -> None:
        """Remove the record from the config."""
        self._change_config("rm", RECORD_KEY)

    def _change_config(self, *words: str) -> None:
        try:
            self._pulumi.run("config", *words, stack=self._stack, timeout=_CONFIG_TIMEOUT)
        except PulumiError as error:
            raise UpdateError(f"the config cannot be changed: {error}") from error

    def up(self, message: str, timeout: float) -> None:
        """Run `pulumi up`, as one process, and read the outputs again; raises UpdateError."""
        lines = "\n".join(escape_control_chars(line) for line in message.splitlines())
        if self._stalled:
            self.wait_for_updates()
        try:
            self._pulumi.up(self._stack, message=lines, timeout=timeout)
            self.outputs = deployment.outputs(self._project, self._stack)
        except LockedError as error:
            raise BusyError(str(error)) from error
        except StalledError as error:
            # It was ended, and may have left its lock.
            self._stalled = True
            raise UpdateError(str(error)) from error
        except PulumiError as error:
            raise UpdateError(str(error)) from error
        self._stalled = False

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
        for holder in self._locks():
            lock.release(holder)

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

    def hook(
        self, command: str, environment: Mapping[str, str], meanwhile: Callable[[], None]
    ) -> int:
        """Run a shell command in the project's folder; its output goes to our stderr."""
        process = subprocess.Popen(  # noqa: S602 - it is the user's own command line
            command,
            shell=True,
            cwd=self._project.folder,
            env={**os.environ, **environment, "ROLLOUT_STACK": self._stack},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
        )
        while True:
            try:
                return process.wait(_HOOK_POLL)
            except subprocess.TimeoutExpired:
                pass
            try:
                meanwhile()
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)
                raise

    def command(self) -> Command | None:
        """Take the command of another terminal."""
        return self._control.receive()

    def reply(self, command: Command, reply: Reply) -> None:
        """Answer it."""
        self._control.reply(command, reply)

    def answer(self, question: str) -> bool | None:
        """Return the operator's answer, if there is one."""
        return self._operator.answer(question)

    def interruption(self) -> Answer | None:
        """After Ctrl-C, ask the operator."""
        return self._operator.interruption()

    @property
    def asking(self) -> bool:
        """Whether that question waits for its answer."""
        return self._operator.asking


def _secret_or_plain(value: str, secret: bool) -> dict[str, Any]:
    """Describe a config value in the form of `pulumi config --json`."""
    return {"value": value, "secret": secret}
