"""The commands of a rollout: start, resume, pause, promote, abort, status, and rollback.

For the command line:

    rollouts = Rollouts(Project.find(folder), stack, display.rollout.Terminal(machine=as_json))
    ending = rollouts.start({"to": "app1=0,app2=100", "max_p99": "300ms", "compare": True})
    ending = rollouts.resume() / .pause() / .promote(full=True) / .abort(keep=True) / .status()
    ending = rollouts.rollback(number)
    updates = history(project, stack)              # for display.history.show or as_objects

The values of `start` are those of `options.all_options()`, by their `field`. Every command returns
an Ending, which is the exit code. It raises UsageError (exit code 2), RolloutHalted (4), and
RolloutError, PulumiError, StackNotFoundError or ConfigError (1). Importing this module is cheap:
what takes long to import is imported by the commands that need it.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from loadbalancer.rollout.control import Control, Operator, Request, this_process
from loadbalancer.rollout.errors import (
    AlreadyRunningError,
    Ending,
    RolloutError,
    RolloutHalted,
    UpdateError,
)
from loadbalancer.rollout.status import RolloutStatus, State, fix
from loadbalancer.state import message
from loadbalancer.state.config_file import RECORD_KEY, ConfigFile, SecretValueError
from loadbalancer.state.history import History, Update, foreign
from loadbalancer.state.message import format_weights
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import StackNotFoundError

if TYPE_CHECKING:
    from loadbalancer.config.model import Settings
    from loadbalancer.rollout.environment import Event, Terminal, View
    from loadbalancer.rollout.record import Progress
    from loadbalancer.rollout.stack_environment import StackEnvironment


class Rollouts:
    """Commands for the rollout of one stack."""

    def __init__(self, project: Project, stack: str, terminal: "Terminal") -> None:
        """Take a project, the name of a stack, and where to print.

        Raises:
            StackNotFoundError: when a file backend has no such stack.
        """
        _check_exists(project, stack)
        self._project = project
        self._stack = stack
        self._terminal = terminal
        self._view: View | None = None
        self._operator = Operator(self._quiet)
        self._control = Control(project.folder, stack)

    def start(self, given: Mapping[str, object]) -> Ending:
        """Start a rollout; if one has not ended, offer to continue it or to roll it back.

        Args:
            given: options by their fields, which override the config.

        Raises:
            UsageError: when an option is missing or invalid.
            RolloutError: when the stack is not ready for a rollout.
            RolloutHalted: when it cannot continue without overwriting what somebody else did.
        """
        with self._locked():
            unfinished = self._unfinished()
            if unfinished is not None:
                return self._offer(unfinished)
            return self._start(given)

    def _start(self, given: Mapping[str, object]) -> Ending:
        from loadbalancer.config import apps  # noqa: PLC0415
        from loadbalancer.rollout import controller, options  # noqa: PLC0415
        from loadbalancer.rollout.record import Progress  # noqa: PLC0415

        environment = self._environment()
        configured, updates = _settings(environment.file), environment.history.all()
        before = configured.weights
        settings = options.resolve(configured.rollout, given)
        options.check_target(settings, before, apps.find(self._project.folder / "apps"))
        options.check_stack(self._stack, before, environment.outputs, updates)
        if before == settings.to:
            self._terminal.say(f"{self._stack} has these weights already.")
            return Ending.REACHED
        progress = Progress(
            id=secrets.token_hex(4),
            settings=settings,
            before=before,
            weights=before,
            updates=updates[-1].number,
            config=environment.config(),
            holder=this_process(),
            since=environment.now(),
        )
        with self._shown(progress):
            environment.save(progress)
            return controller.run(environment, progress)

    def resume(self) -> Ending:
        """Continue a rollout that is paused, was halted, or whose process is gone."""
        if self._control.is_running():
            return self._send(Request.RESUME)
        with self._locked():
            return self._continue(self._existing())

    def pause(self) -> Ending:
        """Have the running rollout stay at its step."""
        return self._send(Request.PAUSE)

    def promote(self, *, full: bool = False) -> Ending:
        """Have the running rollout go to the next step, or to the last one."""
        return self._send(Request.PROMOTE_FULL if full else Request.PROMOTE)

    def abort(self, *, keep: bool = False) -> Ending:
        """Roll back, or with `keep` end a rollout that no process runs at its present weights."""
        if self._control.is_running():
            if keep:
                raise RolloutError(
                    "the rollout is running. Halt it with Ctrl-C in its terminal first, then: "
                    f"./lb rollout abort --keep --stack {self._stack}"
                )
            return self._send(Request.ABORT)
        with self._locked():
            status = self._existing()
            if keep:
                self._environment().forget()
                kept = format_weights(status.weights)
                self._terminal.say(f"The rollout has ended; the weights stay as they are ({kept}).")
                return Ending.HALTED
            return self._roll_back(status)

    def status(self) -> Ending:
        """Print how far the rollout is; without one, the last update of a file backend."""
        text = ConfigFile(self._project, self._stack).record()
        running = self._control.is_running()
        if self._terminal.machine:
            if text is not None:
                _status(text)  # checks it
                text = json.dumps({**json.loads(text), "running": running})
            print(text or "null")
        elif text is not None:
            self._terminal.say(_status(text).report(self._stack, running=running))
        else:
            self._terminal.say(f"No rollout of {self._stack} is in progress.")
            for last in History(self._project, self._stack).from_files()[-1:]:
                self._terminal.say(f"The last update: {last.message.text}")
        return Ending.REACHED

    def _show(self, event: "Event") -> None:
        if self._view:
            self._view.show(event)

    def _quiet(self) -> AbstractContextManager[None]:
        return self._view.quiet() if self._view else nullcontext()

    def _environment(self) -> "StackEnvironment":
        from loadbalancer.rollout.stack_environment import StackEnvironment  # noqa: PLC0415

        return StackEnvironment(
            self._project, self._stack, self._control, self._operator, self._show
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the stack's rollouts."""
        try:
            with self._control.lock():
                yield
        except AlreadyRunningError:
            text = ConfigFile(self._project, self._stack).record()
            who = "" if text is None else f" ({_status(text).holder})"
            raise RolloutError(
                f"a rollout of {self._stack} is running{who}. "
                f"See: ./lb rollout status --stack {self._stack}"
            ) from None

    def _unfinished(self) -> RolloutStatus | None:
        """Read the record of a rollout whose process is gone."""
        text = ConfigFile(self._project, self._stack).record()
        status = None if text is None else _status(text)
        if status is not None and status.holder.host != this_process().host:
            raise RolloutError(
                f"{status.holder} has a rollout of {self._stack} in progress. "
                "End it there, or remove its record: "
                f"pulumi config rm {RECORD_KEY} --stack {self._stack}"
            )
        return status

    def _existing(self) -> RolloutStatus:
        status = self._unfinished()
        if status is None:
            raise RolloutError(
                f"no rollout of {self._stack} is in progress. "
                f"Start one: ./lb rollout start --to app1=0,app2=100 --stack {self._stack}"
            )
        return status

    def _send(self, request: Request) -> Ending:
        if not self._control.is_running():
            raise RolloutError(f"{self._existing().interrupted()}. {fix(self._stack)}")
        self._control.send(request)
        self._terminal.say(f"Requested of the rollout of {self._stack}: {request.value}.")
        return Ending.REACHED

    def _offer(self, status: RolloutStatus) -> Ending:
        """Say that a rollout has not ended, and do with it what the operator chooses."""
        self._terminal.say(f"{status.interrupted()}.")
        if not self._operator.present or self._terminal.machine:
            self._terminal.say(f"{fix(self._stack)}.")
            return Ending.HALTED
        try:
            answer = input("Continue it (c), roll it back (r), or leave it (l)? ").strip()[:1]
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer == "c":
            return self._continue(status)
        return self._roll_back(status) if answer == "r" else Ending.HALTED

    def _continue(self, status: RolloutStatus) -> Ending:
        from loadbalancer.rollout import controller  # noqa: PLC0415

        with self._taken_over(status) as (environment, progress):
            return controller.run(environment, progress, resumed=True)

    def _roll_back(self, status: RolloutStatus) -> Ending:
        from loadbalancer.rollout import controller  # noqa: PLC0415

        with self._taken_over(status) as (environment, progress):
            return controller.roll_back(environment, progress, f"aborted by {environment.user}")

    @contextmanager
    def _taken_over(self, status: RolloutStatus) -> "Iterator[tuple[StackEnvironment, Progress]]":
        """Become the holder; what others changed is accepted, except other weights."""
        environment = self._environment()
        progress = environment.record()
        if progress is None:
            raise RolloutError(f"the record of rollout {status.id} was removed from the config")
        with self._shown(progress):
            try:
                environment.wait_for_updates()
            except UpdateError as error:
                raise RolloutError(str(error)) from error
            present = dict(environment.weights())
            if present != progress.weights:
                raise RolloutHalted(
                    f"somebody else set the weights to {format_weights(present)}. Set them back to "
                    f"{format_weights(progress.weights)}, or keep them: "
                    f"./lb rollout abort --keep --stack {self._stack}"
                )
            progress.holder, progress.config = this_process(), environment.config()
            later = environment.updates(progress.updates)
            if foreign(later, progress.id):
                progress.updates = later[-1].number
            progress.state = State.RUNNING
            environment.save(progress)
            yield environment, progress

    @contextmanager
    def _shown(self, progress: "Progress") -> Iterator[None]:
        self._view = self._terminal.view(progress.settings)
        with self._operator.handling_signals():
            yield

    def rollback(self, number: int | None = None) -> Ending:
        """Return to the weights of an earlier update at once, by default the last stable other one.

        Raises:
            UsageError: when there is no such update.
            RolloutError: when a rollout is in progress, or the update fails.
        """
        from loadbalancer.config import apps  # noqa: PLC0415
        from loadbalancer.rollout import rollback  # noqa: PLC0415

        with self._locked():
            status = self._unfinished()
            if status is not None:
                raise RolloutError(f"{status.interrupted()}. {fix(self._stack)}")
            environment = self._environment()
            present, updates = _settings(environment.file).weights, environment.history.all()
            folders = apps.find(self._project.folder / "apps")
            weights, reason = rollback.prepare(updates, number, present, folders, self._stack)
            # Ctrl-C in between would leave the config ahead of the stack.
            with self._operator.handling_signals():
                environment.set_weights(weights)
                try:
                    environment.up(message.write(replace(reason, by=environment.user)))
                except UpdateError as error:
                    again = f"Run it again: ./lb up --stack {self._stack}"
                    raise RolloutError(f"the update failed: {error}. {again}") from error
            self._terminal.say(reason.text)
        return Ending.REACHED


def history(project: Project, stack: str) -> list[Update]:
    """List the updates of a stack, the oldest first; raises PulumiError."""
    _check_exists(project, stack)
    return History(project, stack).all()


def _check_exists(project: Project, stack: str) -> None:
    """Look for the stack in a file backend, which takes no process."""
    if project.file_backend and stack.rpartition("/")[2] not in project.stacks():
        raise StackNotFoundError(f"no stack named {stack!r} found")


def _settings(file: ConfigFile) -> "Settings":
    try:
        return file.settings()
    except SecretValueError as error:
        raise RolloutError(str(error)) from error


def _status(text: str) -> RolloutStatus:
    """Read a record; what is none was written by somebody else, or by another version."""
    try:
        return RolloutStatus.parse(text)
    except ValueError as error:
        raise RolloutError(f"{error}. Remove it: pulumi config rm {RECORD_KEY}") from error
