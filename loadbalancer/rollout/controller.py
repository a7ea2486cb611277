"""The rollout itself: step by step to the target, or back to the weights before it."""

from functools import partial

from loadbalancer.config.units import parse_duration
from loadbalancer.metrics.reading import Reading
from loadbalancer.rollout.analysis import Watcher
from loadbalancer.rollout.control import Answer, Request
from loadbalancer.rollout.environment import Environment, Event
from loadbalancer.rollout.errors import (
    BusyError,
    Ending,
    RollbackTriggered,
    RolloutHalted,
    UpdateError,
)
from loadbalancer.rollout.plan import confirmed_steps
from loadbalancer.rollout.record import Phase, Progress
from loadbalancer.rollout.status import State
from loadbalancer.state import message
from loadbalancer.state.history import foreign, same
from loadbalancer.state.message import Kind, Message, format_weights

POLL = 1.0
"""Seconds between two looks at the requests of other terminals."""
_ROLLBACK_ATTEMPTS = 3
"""Updates that a rollback attempts before it halts."""


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


def check_unchanged(environment: Environment, progress: Progress) -> None:
    """Compare the config and the history with what the rollout itself wrote.

    Raises:
        RolloutHalted: when somebody else changed one of them; it is not overwritten.
    """
    record = environment.record()
    if record is None:
        raise RolloutHalted("the record of the rollout was removed from the config", ours=False)
    if record.id != progress.id or record.holder != progress.holder:
        raise RolloutHalted(f"{record.holder} has taken the rollout over", ours=False)
    weights = environment.weights()
    if dict(weights) != progress.weights:
        raise RolloutHalted(
            f"somebody else set the weights to {format_weights(weights)} in the config, "
            f"where the rollout had set {format_weights(progress.weights)}"
        )
    before, now = progress.config, environment.config()
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        raise RolloutHalted(f"somebody else changed {', '.join(changed)} in the config")
    update = foreign(environment.updates(progress.updates), progress.id)
    if update:
        by = f" by {update.who}" if update.who else ""
        raise RolloutHalted(f"somebody else ran an update{by}: number {update.number}")


def check_route(reading: Reading, progress: Progress) -> None:
    """Compare the weights that nginx serves by with those of the rollout.

    Raises:
        RolloutHalted: when they give other shares.
    """
    found = {app: one.weight for app, one in reading.apps.items() if one.weight is not None}
    if found and not same(found, progress.weights):
        raise RolloutHalted(f"somebody else gave nginx the weights {format_weights(found)}")


class _Rollout:
    def __init__(self, environment: Environment, progress: Progress) -> None:
        self._environment = environment
        self._progress = progress
        self._confirmed = confirmed_steps(progress.settings)
        self._check_unchanged = partial(check_unchanged, environment, progress)

    def run(self, *, resumed: bool) -> Ending:
        try:
            try:
                self._forward(resumed=resumed)
            except RollbackTriggered as reason:
                self._roll_back(str(reason))
                return Ending.ROLLED_BACK
        except RolloutHalted as reason:
            self._halt(reason)
            return Ending.HALTED
        return Ending.REACHED

    def _forward(self, *, resumed: bool) -> None:
        progress = self._progress
        if progress.phase is Phase.ROLLING_BACK:
            raise RollbackTriggered(progress.reason)
        self._emit("resumed" if resumed else "started", progress.overview)
        if progress.phase is Phase.STARTED:
            self._enter(0)
        elif progress.phase is Phase.STEP:
            self._set(progress.step, f"resumed by {self._environment.user}")
        while progress.phase is Phase.STEP:
            following = self._watch()
            if following == len(progress.plan):
                break
            self._enter(following)
        self._close()

    def _enter(self, step: int) -> None:
        """Pass the confirmation and the hook of a step, and set its weights."""
        self._check_unchanged()
        if step + 1 in self._confirmed:
            self._confirm(step)
        self._hook("before", step)
        self._set(step, self._progress.figures)

    def _set(self, step: int, why: str) -> None:
        self._check_unchanged()
        progress = self._progress
        title, weights = progress.title(step), progress.weights_of(step)
        progress.step, progress.phase, progress.reason = step, Phase.STEP, ""
        progress.state, progress.weights = State.RUNNING, weights
        self._environment.save(progress, weights)
        self._emit("setting", f"{title}: {format_weights(weights)}")
        text = f"{title.capitalize()} {progress.course}: {format_weights(weights)}"
        try:
            self._up(f"{text}. {_sentence(why)}" if why else text + ".", Kind.STEP)
        except BusyError as error:
            raise RolloutHalted(f"another update is running: {error}") from error
        except UpdateError as error:
            raise RollbackTriggered(f"the update to {title} failed: {error}") from error
        self._emit("set", f"{title}: {format_weights(weights)} are in force")

    def _watch(self) -> int:
        """Watch the present step until it has passed; returns the index of the next."""
        environment, progress = self._environment, self._progress
        watcher = Watcher(environment, progress, self._reading)
        step = progress.plan[progress.step]
        deadline = step.seconds + float(parse_duration(progress.settings.deadline))
        interval = float(parse_duration(progress.settings.interval))
        spent, last = 0.0, environment.now()
        while True:
            watcher.check()
            following = self._requested_step()
            now = environment.now()
            paused = progress.state is State.PAUSED
            spent, last = spent + (0.0 if paused else now - last), now
            if following is not None:
                how = "was promoted"
                break
            if not paused and spent >= step.seconds and watcher.passed:
                how, following = "passed", progress.step + 1
                break
            if spent >= deadline:
                title = progress.title(progress.step)
                raise RollbackTriggered(f"{title} has not passed: {watcher.trouble}")
            environment.sleep(min(POLL, interval))
        progress.figures = f"step {progress.step + 1} {how}: {watcher.figures}"
        self._emit("passed", progress.figures)
        self._hook("after", progress.step)
        return following

    def _reading(self) -> Reading:
        """Read the counters, after a look whether the stack is as the rollout left it."""
        self._check_unchanged()
        reading = self._environment.reading()
        check_route(reading, self._progress)
        return reading

    def _requested_step(self) -> int | None:
        """Do what was requested; returns the index of the next step where this one is left."""
        progress, request = self._progress, self._requested()
        if request is Request.PROMOTE:
            self._turn(State.RUNNING, "promoted to the next step")
            return progress.step + 1
        if request is Request.PROMOTE_FULL:
            self._turn(State.RUNNING, "promoted to the last step")
            return max(progress.step + 1, len(progress.plan) - 1)
        if request is Request.PAUSE:
            self._turn(State.PAUSED, "paused until resume, promote or abort")
        if request is Request.RESUME:
            self._turn(State.RUNNING, "resumed")
        return None

    def _requested(self) -> Request | None:
        """Take a request from here or from another terminal; one that ends it is raised."""
        answer = self._environment.interruption()
        if answer is Answer.HALT:
            raise RolloutHalted(f"halted by {self._environment.user}")
        if answer is Answer.ROLL_BACK:
            raise RollbackTriggered(f"rolled back by {self._environment.user}")
        request = self._environment.request()
        if request is Request.ABORT:
            raise RollbackTriggered("aborted from another terminal")
        return request

    def _turn(self, state: State, text: str) -> None:
        if self._progress.state is not state:
            self._check_unchanged()
            self._progress.state = state
            self._environment.save(self._progress)
        self._emit(state.value, text)

    def _confirm(self, step: int) -> None:
        """Wait until the operator, or another terminal, confirms a step."""
        title, weights = self._progress.title(step), self._progress.weights_of(step)
        question = f"Continue with {title}: {format_weights(weights)}?"
        self._emit("confirm", question)
        while True:
            answer = self._environment.answer(question)
            if answer is False:
                raise RollbackTriggered(f"{title} was rejected by {self._environment.user}")
            agreed = self._requested() in {Request.PROMOTE, Request.RESUME, Request.PROMOTE_FULL}
            if answer or agreed:
                return
            self._check_unchanged()
            self._environment.sleep(POLL)

    def _hook(self, when: str, step: int) -> None:
        progress = self._progress
        command = progress.settings.hook
        if command:
            code = self._environment.hook(command, progress.hook_environment(when, step))
            text = f"the hook {when} {progress.title(step)} exited with {code}"
            if code:
                raise RollbackTriggered(text)
            self._emit("hook", text)

    def _close(self) -> None:
        """Record in the history that the target was reached."""
        self._check_unchanged()
        progress = self._progress
        progress.phase = Phase.CLOSING
        self._environment.save(progress)
        text = f"Reached {format_weights(progress.target)}, from {format_weights(progress.before)}"
        try:
            self._up(f"{text}. {_sentence(progress.figures)}", Kind.REACHED)
        except UpdateError as error:
            raise RolloutHalted(f"the last update failed: {error}") from error
        self._environment.forget()
        self._emit("reached", text)

    def _roll_back(self, reason: str) -> None:
        """Return to the weights before the rollout: in the config, in nginx and in the state."""
        environment, progress = self._environment, self._progress
        try:
            self._check_unchanged()
        except RolloutHalted as error:
            raise RolloutHalted(
                f"{error}; not rolled back although {reason}", ours=error.ours
            ) from (error)
        progress.phase, progress.reason, progress.state = Phase.ROLLING_BACK, reason, State.RUNNING
        progress.weights = dict(progress.before)
        environment.save(progress, progress.before)
        before, target = format_weights(progress.before), format_weights(progress.target)
        self._emit("rolling back", f"to {before}: {reason}")
        environment.reroute(progress.before)
        text = (
            f"Rolled back to {before} from {progress.title(progress.step)} to {target}: {reason}."
        )
        for left in reversed(range(_ROLLBACK_ATTEMPTS)):
            try:
                self._up(text, Kind.ROLLED_BACK)
                break
            except UpdateError as error:
                if not left:
                    raise RolloutHalted(f"the rollback failed: {error}") from error
                environment.sleep(POLL)
        environment.forget()
        self._emit("rolled back", text)

    def _halt(self, reason: RolloutHalted) -> None:
        if reason.ours:
            self._progress.state, self._progress.reason = State.HALTED, str(reason)
            self._environment.save(self._progress)
        self._emit("halted", str(reason))

    def _up(self, text: str, kind: Kind) -> None:
        environment, progress = self._environment, self._progress
        done = environment.updates(progress.updates) if kind is Kind.ROLLED_BACK else []
        undoes = (done[0].number, done[-1].number) if done else None
        environment.up(message.write(Message(text, kind, progress.id, environment.user, undoes)))

    def _emit(self, kind: str, text: str) -> None:
        progress = self._progress
        now, weights = self._environment.now(), dict(progress.weights)
        self._environment.emit(Event(kind, now, text, progress.step + 1, weights))


def _sentence(text: str) -> str:
    """Start with a capital letter and end with a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
