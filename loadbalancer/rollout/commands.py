"""The commands of a rollout: start, resume, pause, promote, abort, status, and rollback.

For the command line:

    rollouts = Rollouts(Project.find(folder), stack, display.rollout.Terminal(machine=as_json))
    ending = rollouts.start({"to": "app1=0,app2=100", "max_p99": "300ms", "compare": True})
    ending = rollouts.resume() / .pause() / .promote(full=True) / .status()
    ending = rollouts.abort(keep=True) / .abort(force=True)
    ending = rollouts.rollback(number)
    updates = history(project, stack)              # for display.history.show or as_objects

The values of `start` are those of `options.all_options()`, by their `field`. Every command returns
an Ending, which is the exit code. It raises UsageError (exit code 2), RolloutHalted (4), and
RolloutError, PulumiError, StackNotFoundError or ConfigError (1). Importing this module is cheap:
what takes long to import is imported by the commands that need it.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from loadbalancer.rollout.control import Command, Control, Operator, Request
from loadbalancer.rollout.errors import AlreadyRunningError, Ending, RolloutError, UsageError
from loadbalancer.rollout.status import RolloutStatus, fix, for_programs
from loadbalancer.rollout.unfinished import Unfinished
from loadbalancer.state.history import History, Update
from loadbalancer.state.project import Project
from loadbalancer.state.pulumi import PulumiError, StackNotFoundError

if TYPE_CHECKING:
    from loadbalancer.rollout.environment import Event, Terminal, View
    from loadbalancer.rollout.record import Progress
    from loadbalancer.rollout.stack_environment import StackEnvironment

_PATIENCE = 5.0
"""Seconds to wait for the reply of a running rollout, which looks for commands every second."""


class Rollouts:
    """Commands for the rollout of one stack."""

    def __init__(
        self, project: Project, stack: str, terminal: "Terminal", patience: float = _PATIENCE
    ) -> None:
        """Take a project, the name of a stack, where to print, and how long to wait for a reply.

        Raises:
            StackNotFoundError: when a file backend has no such stack.
        """
        _check_exists(project, stack)
        self._project = project
        self._stack = stack
        self._terminal = terminal
        self._view: View | None = None
        self._operator = Operator(self._quiet)
        self._unfinished = Unfinished(project, stack)
        self._control = Control(project.folder, stack)
        self._patience = patience

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
            status = self._unfinished.find()
            if status is not None:
                return self._offer(status)
            return self._start(given)

    def _start(self, given: Mapping[str, object]) -> Ending:
        from loadbalancer.rollout import controller, start  # noqa: PLC0415

        environment = self._environment()
        progress = start.prepare(environment, self._project.folder / "apps", given)
        if progress is None:
            self._terminal.say(f"{self._stack} has these weights already.")
            return Ending.REACHED
        with self._shown(progress):
            environment.save(progress)
            return controller.run(environment, progress)

    def resume(self) -> Ending:
        """Continue a rollout that is paused, was halted, or whose process is gone."""
        if self._control.is_running():
            return self._send(Request.RESUME)
        with self._locked():
            return self._continue(self._unfinished.get())

    def pause(self) -> Ending:
        """Have the running rollout stay at its step."""
        return self._send(Request.PAUSE)

    def promote(self, *, full: bool = False) -> Ending:
        """Have the running rollout go to the next step, or to the last one."""
        return self._send(Request.PROMOTE_FULL if full else Request.PROMOTE)

    def abort(self, *, keep: bool = False, force: bool = False) -> Ending:
        """Roll back.

        With `keep`, end a rollout that no process runs at its present weights. With `force`, roll
        back over what somebody else changed, also where the record in the config is lost.

        Raises:
            UsageError: when both are requested.
        """
        if keep and force:
            raise UsageError("--keep: the present weights cannot be kept with --force")
        if self._control.is_running():
            if keep:
                raise RolloutError(
                    "the rollout is running. Halt it with Ctrl-C in its terminal first, then: "
                    f"./lb rollout abort --keep --stack {self._stack}"
                )
            return self._send(Request.ABORT)
        with self._locked():
            if force:
                return self._roll_back_by_force()
            status = self._unfinished.get()
            if keep:
                environment = self._environment()
                environment.forget()
                kept = status.show(environment.weights())
                self._terminal.say(f"The rollout has ended; the weights stay as they are ({kept}).")
                return Ending.HALTED
            return self._roll_back(status)

    def status(self) -> Ending:
        """Print how far the rollout is; without one, the last update of a file backend."""
        text, running = self._unfinished.text(), self._control.is_running()
        if self._terminal.machine:
            if text is not None:
                status = self._unfinished.status(text)  # checks it
                text = for_programs(text, secret=status.secret, running=running)
            print(text or "null")
        elif text is not None:
            self._terminal.say(self._unfinished.status(text).report(self._stack, running=running))
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
            text = self._unfinished.text()
            who = "" if text is None else f" ({self._unfinished.status(text).holder})"
            raise RolloutError(
                f"a rollout of {self._stack} is running{who}. "
                f"See: ./lb rollout status --stack {self._stack}"
            ) from None

    def _send(self, request: Request) -> Ending:
        if not self._control.is_running():
            raise RolloutError(f"{self._unfinished.get().interrupted()}. {fix(self._stack)}")
        status = self._unfinished.get()
        command = self._control.send(Command(request, status.id, status.position))
        reply = self._control.wait_for_reply(command, self._patience)
        if reply is None:
            self._terminal.say(
                f"Requested of the rollout of {self._stack}: {request.value}. It is in an update, "
                f"and looks at it after that. See: ./lb rollout status --stack {self._stack}"
            )
        elif not reply.done:
            raise RolloutError(f"{request.value} was refused: {reply.text}")
        else:
            self._terminal.say(f"The rollout of {self._stack}: {reply.text}.")
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
        from loadbalancer.rollout import takeover  # noqa: PLC0415

        environment = self._environment()
        progress = environment.record()
        if progress is None:
            raise RolloutError(f"the record of rollout {status.id} was removed from the config")
        with self._shown(progress):
            takeover.run(environment, progress)
            yield environment, progress

    def _roll_back_by_force(self) -> Ending:
        """Roll back whatever is in the config now."""
        from loadbalancer.rollout import controller, force, takeover  # noqa: PLC0415

        environment = self._environment()
        progress = force.prepare(environment.file, environment.history, self._stack)
        for line in force.restore(self._project, self._stack, environment.file):
            self._terminal.say(line)
        with self._shown(progress):
            takeover.run_by_force(environment, progress)
            return controller.roll_back(environment, progress, f"forced by {environment.user}")

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
            status = self._unfinished.find()
            if status is not None:
                raise RolloutError(f"{status.interrupted()}. {fix(self._stack)}")
            environment = self._environment()
            present, updates = environment.file.settings().weights, _decrypted(environment.history)
            folders = apps.find(self._project.folder / "apps")
            secret = environment.file.has_secret_weights() or any(one.secret for one in updates)
            weights, reason = rollback.prepare(
                updates, number, present, folders, self._stack, secret=secret
            )
            # Ctrl-C in between would leave the config ahead of the stack.
            with self._operator.handling_signals():
                rollback.run(environment, weights, reason, secret=secret)
            self._terminal.say(reason.text)
        return Ending.REACHED


def history(project: Project, stack: str) -> list[Update]:
    """List the updates of a stack, the oldest first; raises PulumiError."""
    _check_exists(project, stack)
    return _decrypted(History(project, stack))


def _decrypted(history: History) -> list[Update]:
    """List all updates, with secret weights as far as they can be decrypted."""
    try:
        return history.all(decrypt=True)
    except PulumiError:
        return history.all()


def _check_exists(project: Project, stack: str) -> None:
    """Look for the stack in a file backend, which takes no process."""
    if project.file_backend and stack.rpartition("/")[2] not in project.stacks():
        raise StackNotFoundError(f"no stack named {stack!r} found", stack=stack)
