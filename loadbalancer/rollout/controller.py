"""The rollout itself: step by step to the target, or back to the weights before it."""

from loadbalancer.config.units import parse_duration
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout.environment import Environment
from loadbalancer.rollout.errors import (
    BusyError,
    Ending,
    RollbackTriggered,
    RolloutHalted,
    UpdateError,
)
from loadbalancer.rollout.interference import check_route
from loadbalancer.rollout.journal import Journal
from loadbalancer.rollout.plan import confirmed_steps
from loadbalancer.rollout.record import Phase, Progress
from loadbalancer.rollout.requests import Requests
from loadbalancer.rollout.status import State, fix, fix_by_force
from loadbalancer.rollout.watcher import Watcher
from loadbalancer.rollout.way_back import WayBack
from loadbalancer.state.message import Kind

POLL = 1.0
"""Seconds between two looks at the commands of other terminals."""
UPDATE_TIMEOUT = 900.0
"""Seconds after which an update counts as stalled; the first one of an app builds its image."""


def run(environment: Environment, progress: Progress, *, resumed: bool = False) -> Ending:
    """Continue a rollout from its record, to its end.

    Every step is written into the config before its update, and its update can be repeated: so
    whenever the process is killed, another one continues from the record.

    Args:
        environment: where it has its effects.
        progress: the record, with this process as its holder; it is in the config already.
        resumed: whether another process has started the rollout.
    """
    return _Rollout(environment, progress).run(resumed=resumed)


def roll_back(environment: Environment, progress: Progress, reason: str) -> Ending:
    """Roll back a rollout whose process is gone; one that was rolling back keeps its reason."""
    if progress.phase is not Phase.ROLLING_BACK:
        progress.phase, progress.reason = Phase.ROLLING_BACK, reason
    return run(environment, progress, resumed=True)


class _Rollout:
    def __init__(self, environment: Environment, progress: Progress) -> None:
        self._environment = environment
        self._progress = progress
        self._confirmed = confirmed_steps(progress.settings)
        self._journal = Journal(environment, progress)
        self._requests = Requests(self._journal)
        self._watcher: Watcher | None = None
        """Watches the present step, from its update to that of the next."""

    def run(self, *, resumed: bool) -> Ending:
        try:
            try:
                self._forward(resumed=resumed)
            except RollbackTriggered as reason:
                WayBack(self._journal).run(str(reason))
                return Ending.ROLLED_BACK
            except UpdateError as error:
                raise RolloutHalted(str(error)) from error
        except RolloutHalted as reason:
            self._halt(reason)
            return Ending.HALTED
        return Ending.REACHED

    def _forward(self, *, resumed: bool) -> None:
        progress = self._progress
        if progress.phase is Phase.ROLLING_BACK:
            raise RollbackTriggered(progress.reason)
        self._journal.emit("resumed" if resumed else "started", progress.overview)
        if progress.phase is Phase.STARTED:
            self._enter(0)
        elif progress.phase is Phase.STEP:
            self._set(progress.step, f"resumed by {self._environment.user}")
            self._restore_route()
        while progress.phase is Phase.STEP:
            following = self._watch()
            if following == len(progress.plan):
                break
            self._enter(following)
        self._close()

    def _enter(self, step: int) -> None:
        """Pass the confirmation and the hook of a step, and set its weights."""
        self._journal.check_unchanged()
        if step + 1 in self._confirmed:
            step = self._confirm(step)
        self._hook("before", step)
        self._set(step, self._progress.figures)

    def _set(self, step: int, why: str) -> None:
        self._journal.check_unchanged()
        progress = self._progress
        title, weights = progress.title(step), progress.weights_of(step)
        try:
            self._journal.save(
                weights,
                step=step,
                phase=Phase.STEP,
                reason="",
                state=State.RUNNING,
                weights=weights,
            )
        except UpdateError as error:
            raise RollbackTriggered(f"{title} could not be set: {error}") from error
        self._journal.emit("setting", f"{title}: {progress.show(weights)}")
        text = f"{title.capitalize()} {progress.course}: {progress.show(weights)}"
        try:
            self._journal.up(
                f"{text}. {_sentence(why)}" if why else text + ".", Kind.STEP, UPDATE_TIMEOUT
            )
        except BusyError as error:
            raise RolloutHalted(f"another update is running: {error}") from error
        except UpdateError as error:
            raise RollbackTriggered(f"the update to {title} failed: {error}") from error
        self._watcher = Watcher(self._environment, progress, self._reading)
        self._journal.emit("set", f"{title}: {progress.show(weights)} are in force")

    def _restore_route(self) -> None:
        """Give nginx the weights again that somebody else changed there; an update does not."""
        try:
            check_route(self._environment.reading(), self._progress)
        except RolloutHalted:
            self._environment.reroute(self._progress.weights)
        except MetricsError:
            return  # the checks tell

    def _watch(self) -> int:
        """Watch the present step until it has passed; returns the index of the next."""
        environment, progress, watcher = self._environment, self._progress, self._watcher
        assert watcher  # noqa: S101 - a step is watched from its update on
        step = progress.plan[progress.step]
        deadline = step.seconds + float(parse_duration(progress.settings.deadline))
        interval = float(parse_duration(progress.settings.interval))
        spent, last = 0.0, environment.now()
        while True:
            watcher.check()
            command = self._requests.take()
            now = environment.now()
            paused = progress.state is State.PAUSED or environment.asking
            spent, last = spent + (0.0 if paused else now - last), now
            if command is not None:
                how = _promoted(watcher)
                following = self._requests.obey(command, how)
                if following is not None:
                    break
            paused = progress.state is State.PAUSED or environment.asking
            if not paused and spent >= step.seconds and watcher.passed:
                how, following = "passed", progress.step + 1
                break
            if spent >= deadline:
                title = progress.title(progress.step)
                raise RollbackTriggered(f"{title} has not passed: {watcher.trouble}")
            environment.sleep(min(POLL, interval))
        progress.figures = f"step {progress.step + 1} {how}: {watcher.figures}"
        self._journal.emit("passed", progress.figures)
        self._hook("after", progress.step)
        return following

    def _reading(self) -> Reading:
        """Read the counters, after a look whether the stack is as the rollout left it."""
        try:
            self._journal.check_unchanged()
        except UpdateError as error:
            raise MetricsError(str(error)) from error
        reading = self._environment.reading()
        check_route(reading, self._progress)
        return reading

    def _confirm(self, step: int) -> int:
        """Wait until the operator, or another terminal, confirms a step; returns which one.

        Meanwhile the present step is watched.
        """
        title, weights = self._progress.title(step), self._progress.weights_of(step)
        question = f"Continue with {title}: {self._progress.show(weights)}?"
        self._journal.emit("confirm", question)
        while True:
            if self._watcher:
                self._watcher.check()
            answer = self._environment.answer(question)
            if answer is False:
                raise RollbackTriggered(f"{title} was rejected by {self._environment.user}")
            if answer:
                return step
            command = self._requests.take()
            confirmed = None if command is None else self._requests.confirmed(command, step)
            if confirmed is not None:
                return confirmed
            self._journal.check_unchanged()
            self._environment.sleep(POLL)

    def _hook(self, when: str, step: int) -> None:
        progress = self._progress
        command = progress.settings.hook
        if command:
            watch = self._watcher.check if self._watcher else lambda: None
            variables = progress.hook_environment(when, step)
            code = self._environment.hook(command, variables, watch)
            text = f"the hook {when} {progress.title(step)} exited with {code}"
            if code:
                raise RollbackTriggered(text)
            self._journal.emit("hook", text)

    def _close(self) -> None:
        """Record in the history that the target was reached."""
        self._journal.check_unchanged()
        progress = self._progress
        self._journal.save(phase=Phase.CLOSING)
        text = f"Reached {progress.show(progress.target)}, from {progress.show(progress.before)}"
        try:
            self._journal.up(f"{text}. {_sentence(progress.figures)}", Kind.REACHED, UPDATE_TIMEOUT)
        except UpdateError as error:
            raise RolloutHalted(f"the last update failed: {error}") from error
        self._environment.forget()
        self._journal.emit("reached", text)

    def _halt(self, reason: RolloutHalted) -> None:
        stack = self._environment.stack_name
        ways = [] if not reason.ours else [fix(stack)]
        if reason.overwritten:
            keep = f"Keep them: ./lb rollout abort --keep --stack {stack}"
            ways = [keep] if reason.ours else []
            ways += [fix_by_force(stack, reason.overwritten)]
        text = ". ".join([str(reason).rstrip("."), *ways])
        if reason.ours:
            try:
                self._journal.save(state=State.HALTED, reason=str(reason))
            except (UpdateError, RolloutHalted) as error:
                text += f" (this could not be noted in the config: {error})"
        self._journal.emit("halted", text)


def _promoted(watcher: Watcher) -> str:
    """Say how a step was left by a promotion, also that there was no good verdict yet."""
    without = "" if watcher.passed else f" without a good check ({watcher.trouble})"
    return f"was promoted{without}"


def _sentence(text: str) -> str:
    """Start with a capital letter and end with a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
