"""The rollout itself: step by step to the target, or back. Pure apart from the World."""

from collections.abc import Mapping

from loadbalancer.config.units import parse_duration
from loadbalancer.rollout import choice, guard, hook, words
from loadbalancer.rollout.environment import Answer, BusyError, Request, UpdateError, World
from loadbalancer.rollout.errors import BackError, Ending, HeldError
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.record import Phase, Progress, State
from loadbalancer.rollout.watcher import Watcher
from loadbalancer.state import message
from loadbalancer.state.message import Kind, Message
from loadbalancer.state.message import weights as written

POLL = 1.0
"""Seconds between two looks at what another terminal asks for."""
_TRIES = 3
"""How often the way back is tried before it is held."""


def run(world: World, progress: Progress, *, resumed: bool = False) -> Ending:
    """Go on with a rollout from where its record is, to its end.

    Every step is written into the config before its update, and an update of it can be repeated:
    so whenever the process dies, another one goes on from the record.

    Args:
        world: where it has its effects.
        progress: the record, with this process as its holder; it is in the config already.
        resumed: whether another process has begun it.
    """
    return _Rollout(world, progress).run(resumed=resumed)


def take_back(world: World, progress: Progress, reason: str) -> Ending:
    """Take back a rollout whose process is gone; one that was on its way back keeps its reason."""
    if progress.phase is not Phase.BACK:
        progress.phase, progress.reason = Phase.BACK, reason
    return run(world, progress, resumed=True)


class _Rollout:
    def __init__(self, world: World, progress: Progress) -> None:
        self._world = world
        self._progress = progress
        self._confirmed = choice.confirmed(progress.settings)

    def run(self, *, resumed: bool) -> Ending:
        try:
            try:
                self._forward(resumed=resumed)
            except BackError as reason:
                self._back(str(reason))
                return Ending.ROLLED_BACK
        except HeldError as reason:
            self._hold(reason)
            return Ending.HELD
        return Ending.REACHED

    def _forward(self, *, resumed: bool) -> None:
        progress = self._progress
        if progress.phase is Phase.BACK:
            raise BackError(progress.reason)
        self._tell("resumed" if resumed else "begun", words.course(self._progress))
        if progress.phase is Phase.BEGUN:
            self._enter(0)
        elif progress.phase is Phase.STEP:
            self._set(progress.step, f"resumed by {self._world.user}")
        while progress.phase is Phase.STEP:
            following = self._watch()
            if following < len(progress.plan):
                self._enter(following)
            else:
                self._close()
                return
        self._close()

    def _title(self, step: int) -> str:
        return words.title(self._progress, step)

    def _enter(self, step: int) -> None:
        """Pass the gates of a step, and set its weights."""
        guard.check(self._world, self._progress)
        if step + 1 in self._confirmed:
            self._ask(step)
        self._hook("before", step)
        self._set(step, self._progress.figures)

    def _set(self, step: int, why: str) -> None:
        guard.check(self._world, self._progress)
        progress = self._progress
        changed = progress.weights_of(step)
        progress.step, progress.phase, progress.reason = step, Phase.STEP, ""
        progress.state, progress.weights = State.RUNNING, changed
        self._world.save(progress, changed)
        self._tell("setting", f"{self._title(step)}: {written(changed)}")
        way = words.ends(progress)
        text = f"{self._title(step).capitalize()} {way}: {written(changed)}"
        try:
            self._up(f"{text}. {words.sentence(why)}" if why else text + ".", Kind.STEP)
        except BusyError as error:
            raise HeldError(f"somebody else's update is running: {error}") from error
        except UpdateError as error:
            raise BackError(f"the update to {self._title(step)} failed: {error}") from error
        self._tell("set", f"{self._title(step)}: {written(changed)} are in force")

    def _watch(self) -> int:
        """Watch the present step until it has passed; returns the index of the next."""
        world, progress = self._world, self._progress
        watcher, step = Watcher(world, progress), progress.plan[progress.step]
        deadline = step.seconds + float(parse_duration(progress.settings.deadline))
        spent, last = 0.0, world.now()
        while True:
            watcher.check()
            following = self._requested()
            now = world.now()
            paused = progress.state is State.PAUSED
            spent, last = spent + (0.0 if paused else now - last), now
            progress.figures = f"step {progress.step + 1} passed: {watcher.figures}"
            if following is not None:
                progress.figures = f"step {progress.step + 1} was promoted: {watcher.figures}"
                break
            if not paused and spent >= step.seconds and watcher.passed:
                following = progress.step + 1
                break
            if spent >= deadline:
                raise BackError(f"{self._title(progress.step)} has not passed: {watcher.trouble}")
            world.sleep(min(POLL, float(parse_duration(progress.settings.interval))))
        self._tell("passed", progress.figures)
        self._hook("after", progress.step)
        return following

    def _requested(self) -> int | None:
        """Do what was asked for; returns the index of the next step where this one is left."""
        progress, request = self._progress, self._asked()
        if request is Request.PROMOTE:
            self._turn(State.RUNNING, "promoted to the next step")
            return progress.step + 1
        if request is Request.FINISH:
            self._turn(State.RUNNING, "promoted to the last step")
            return max(progress.step + 1, len(progress.plan) - 1)
        if request is Request.PAUSE:
            self._turn(State.PAUSED, "paused; go on with: resume, promote or abort")
        if request is Request.RESUME:
            self._turn(State.RUNNING, "resumed")
        return None

    def _asked(self) -> Request | None:
        """Look what is asked of it, here or at another terminal; what ends it is raised."""
        answer = self._world.interrupted()
        if answer is Answer.HOLD:
            raise HeldError(f"held by {self._world.user}")
        if answer is Answer.BACK:
            raise BackError(f"taken back by {self._world.user}")
        request = self._world.request()
        if request is Request.ABORT:
            raise BackError("aborted from another terminal")
        return request

    def _turn(self, state: State, text: str) -> None:
        if self._progress.state is not state:
            guard.check(self._world, self._progress)
            self._progress.state = state
            self._world.save(self._progress)
        self._tell(state.value, text)

    def _ask(self, step: int) -> None:
        """Wait until a person here or at another terminal agrees to a step."""
        question = f"Go on with {self._title(step)}: {written(self._progress.weights_of(step))}?"
        self._tell("confirm", question)
        while True:
            answer = self._world.answered(question)
            if answer is False:
                raise BackError(f"{self._title(step)} was refused by {self._world.user}")
            agreed = self._asked() in {Request.PROMOTE, Request.RESUME, Request.FINISH}
            if answer or agreed:
                return
            guard.check(self._world, self._progress)
            self._world.sleep(POLL)

    def _hook(self, when: str, step: int) -> None:
        command = self._progress.settings.hook
        if not command:
            return
        code = self._world.hook(command, hook.environment(self._progress, when, step))
        if code:
            raise BackError(f"the hook {when} {self._title(step)} ended with {code}")
        self._tell("hook", f"the hook {when} {self._title(step)} agreed")

    def _close(self) -> None:
        """Have the history say that the target was reached."""
        guard.check(self._world, self._progress)
        progress = self._progress
        progress.phase = Phase.CLOSING
        self._world.save(progress)
        text = f"Reached {written(progress.target)}, from {written(progress.before)}"
        try:
            self._up(f"{text}. {words.sentence(progress.figures)}", Kind.REACHED)
        except UpdateError as error:
            raise HeldError(f"the closing update failed: {error}") from error
        self._world.forget()
        self._tell("reached", text)

    def _back(self, reason: str) -> None:
        """Return to the weights before the rollout, in the config, in nginx and in the state."""
        world, progress = self._world, self._progress
        try:
            guard.check(world, progress)
        except HeldError as error:
            raise HeldError(f"{error}; not taken back though {reason}", ours=error.ours) from error
        where = self._title(progress.step)
        progress.phase, progress.reason, progress.state = Phase.BACK, reason, State.RUNNING
        progress.weights = dict(progress.before)
        world.save(progress, progress.before)
        self._tell("back", f"going back to {written(progress.before)}: {reason}")
        world.reroute(progress.before)
        text = f"Rolled back to {written(progress.before)} from {where} to "
        text += f"{written(progress.target)}: {reason}."
        for left in reversed(range(_TRIES)):
            try:
                self._up(text, Kind.BACK)
                break
            except UpdateError as error:
                if not left:
                    raise HeldError(f"the way back failed: {error}") from error
                world.sleep(POLL)
        world.forget()
        self._tell("rolled back", text)

    def _hold(self, reason: HeldError) -> None:
        if reason.ours:
            self._progress.state, self._progress.reason = State.HELD, str(reason)
            self._world.save(self._progress)
        self._tell("held", str(reason))

    def _up(self, text: str, kind: Kind) -> None:
        progress = self._progress
        undoes = None
        if kind is Kind.BACK:
            done = self._world.updates(progress.updates)
            undoes = (done[0].number, done[-1].number) if done else None
        self._world.up(message.write(Message(text, kind, progress.id, self._world.user, undoes)))

    def _tell(self, kind: str, text: str) -> None:
        progress = self._progress
        weights: Mapping[str, int] = dict(progress.weights)
        self._world.emit(Event(kind, self._world.now(), text, progress.step + 1, weights))
