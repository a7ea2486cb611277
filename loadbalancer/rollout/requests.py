"""Requests to a running rollout: Ctrl-C at its terminal, and the commands of other terminals."""

from loadbalancer.rollout.control import Answer, Command, Reply, Request
from loadbalancer.rollout.errors import RollbackTriggered, RolloutHalted
from loadbalancer.rollout.journal import Journal
from loadbalancer.rollout.status import State

_PROMOTIONS = frozenset({Request.PROMOTE, Request.PROMOTE_FULL})


class Requests:
    """Takes the requests to one rollout, and replies to them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._environment = journal.environment
        self._progress = journal.progress

    def take(self) -> Command | None:
        """Take a command from here or from another terminal, once.

        A command for another rollout, and a promotion from another step, are refused.

        Raises:
            RolloutHalted: when the operator halts the rollout.
            RollbackTriggered: when it is to roll back.
        """
        environment, progress = self._environment, self._progress
        answer = environment.interruption()
        if answer is Answer.HALT:
            raise RolloutHalted(f"halted by {environment.user}")
        if answer is Answer.ROLL_BACK:
            raise RollbackTriggered(f"rolled back by {environment.user}")
        command = environment.command()
        if command is None:
            return None
        if command.rollout != progress.id:
            self._refuse(command, f"it is for rollout {command.rollout}, which has ended")
            return None
        if command.request is Request.ABORT:
            environment.reply(command, Reply("the rollout rolls back", done=True))
            raise RollbackTriggered("aborted from another terminal")
        if command.request in _PROMOTIONS and command.position != progress.position:
            there = f"from step {command.position}" if command.position else "to the first step"
            here = f"step {progress.position}"
            self._refuse(
                command,
                f"it is {there}, and the rollout is at {here} of {len(progress.plan)} already. "
                f"Look, and repeat it if you still want to: "
                f"./lb rollout promote --stack {environment.stack_name}",
            )
            return None
        return command

    def obey(self, command: Command, promoted: str) -> int | None:
        """Do what was requested; returns the index of the next step where this one is left.

        Args:
            command: one that was taken while a step is watched.
            promoted: how a promotion leaves the step, such as `was promoted`.
        """
        progress = self._progress
        if command.request is Request.PAUSE:
            self._turn(State.PAUSED, "paused until resume, promote or abort", command)
        elif command.request is Request.RESUME:
            self._turn(State.RUNNING, "resumed", command)
        elif command.request in _PROMOTIONS:
            full = command.request is Request.PROMOTE_FULL
            where = "the last step" if full else "the next step"
            text = f"{progress.title(progress.step)} {promoted}, to {where}"
            self._turn(State.RUNNING, text, command)
            last = len(progress.plan) - 1
            return max(progress.step + 1, last) if full else progress.step + 1
        return None

    def confirmed(self, command: Command, step: int) -> int | None:
        """Do what was requested while a step waits for its confirmation, which is a promotion.

        Returns:
            The index of the step that is confirmed; None for any other command, which is refused.
        """
        title = self._progress.title(step)
        if command.request not in _PROMOTIONS:
            promote = f"./lb rollout promote --stack {self._environment.stack_name}"
            self._refuse(command, f"{title} waits for a confirmation: {promote}")
            return None
        self._environment.reply(command, Reply(f"{title} is confirmed", done=True))
        full = command.request is Request.PROMOTE_FULL
        return max(step, len(self._progress.plan) - 1) if full else step

    def _refuse(self, command: Command, why: str) -> None:
        self._environment.reply(command, Reply(why, done=False))
        self._journal.emit("refused", f"{command.request.value}: {why}")

    def _turn(self, state: State, text: str, command: Command) -> None:
        if self._progress.state is not state:
            self._journal.check_unchanged()
            self._journal.save(state=state)
        self._environment.reply(command, Reply(text, done=True))
        self._journal.emit(state.value, text)
