"""The verbs of a rollout: begin one, go on with one, end one, ask one; and back without one."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from loadbalancer.config import apps
from loadbalancer.display.history import as_objects, show
from loadbalancer.display.rollout import Lines, View
from loadbalancer.rollout import backward, beginning, controller, holding, words
from loadbalancer.rollout.asking import Person
from loadbalancer.rollout.environment import Request, UpdateError
from loadbalancer.rollout.errors import Ending, HeldError, RolloutError
from loadbalancer.rollout.event import Event
from loadbalancer.rollout.holding import TakenError
from loadbalancer.rollout.realworld import RealWorld
from loadbalancer.rollout.record import KEY, Progress, State
from loadbalancer.rollout.terminal import Terminal
from loadbalancer.state import history
from loadbalancer.state.message import weights as written


class Rollouts:
    """What can be done with the rollout of one stack, if there is one."""

    def __init__(self, project: Path, stack: str, terminal: Terminal) -> None:
        """Find the stack; raises StackNotFoundError where there is none."""
        self._project = project
        self._stack = stack
        self._terminal = terminal
        self._view: View = Lines(terminal.console)
        self._person = Person(self._quiet)
        self._world = RealWorld(project, stack, self._person, self._show)

    def _show(self, event: Event) -> None:
        self._view.show(event)

    def _quiet(self) -> AbstractContextManager[None]:
        return self._view.quiet()

    def begin(self, given: Mapping[str, Any]) -> Ending:
        """Begin a rollout; where one has not ended, offer to go on with it or to take it back.

        Args:
            given: settings that stand over those of the config.
        """
        with self._at_work():
            record = self._record()
            if record is not None:
                return self._offer(record)
            world = self._world
            configured, history = world.file.settings(), world.history.all()
            before = configured.weights
            settings = beginning.settings(configured.rollout, given)
            beginning.check(settings, before, apps.find(self._project / "apps"))
            beginning.check_stack(self._stack, before, world.outputs, history)
            if before == settings.to:
                self._terminal.say(f"{self._stack} has these weights already.")
                return Ending.REACHED
            progress = Progress(
                id=secrets.token_hex(4),
                settings=settings,
                before=before,
                weights=before,
                updates=len(history),
                config=world.config(),
                holder=holding.me(),
                since=world.now(),
            )
            with self._shown(progress):
                world.save(progress)
                return controller.run(world, progress)

    def resume(self) -> Ending:
        """Go on with a rollout that was held or killed, or that was paused."""
        if self._world.desk.taken():
            return self._ask(Request.RESUME)
        with self._at_work():
            return self._go_on(self._needed())

    def abort(self, *, keep: bool = False) -> Ending:
        """Take a rollout back, or end it where it is."""
        if self._world.desk.taken():
            if keep:
                raise RolloutError("it is at work. Pause it with Ctrl-C first, which asks")
            return self._ask(Request.ABORT)
        with self._at_work():
            record = self._needed()
            if keep:
                self._world.forget()
                self._terminal.say("The rollout is ended; the weights stay as they are.")
                return Ending.HELD
            return self._take_back(record)

    def ask(self, request: Request) -> Ending:
        """Ask something of the rollout at work."""
        if not self._world.desk.taken():
            record = self._needed()
            raise RolloutError(f"{words.standing(record)}. {words.ways(self._stack)}")
        return self._ask(request)

    def status(self) -> Ending:
        """Show how far it is."""
        record = self._world.record()
        alive = self._world.desk.taken()
        if self._terminal.machine:
            found = None if record is None else {**json.loads(record.write()), "alive": alive}
            print(json.dumps(found))
            return Ending.REACHED
        if record is None:
            self._terminal.say(f"No rollout of {self._stack} is under way.")
            for last in self._world.history.all()[-1:]:
                self._terminal.say(f"The last update: {last.message.text}")
            return Ending.REACHED
        self._terminal.say(words.report(record, self._stack, alive=alive))
        return Ending.REACHED

    def tell(self) -> Ending:
        """Show the history."""
        every = self._world.history.all()
        if self._terminal.machine:
            print(json.dumps(as_objects(every)))
        else:
            show(every, self._terminal.console)
        return Ending.REACHED

    def rollback(self, number: int | None) -> Ending:
        """Go to the weights of an earlier update at once: by default the last stable other one."""
        with self._at_work():
            record = self._record()
            if record is not None:
                raise RolloutError(f"{words.standing(record)}. {words.ways(self._stack)}")
            folders = apps.find(self._project / "apps")
            # Ctrl-C would leave half of it.
            with self._person.listening():
                self._terminal.say(backward.go_back(self._world, self._stack, folders, number))
        return Ending.REACHED

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Be the only one at work on the stack."""
        try:
            with self._world.desk.held():
                yield
        except TakenError:
            record = self._world.record()
            who = f" ({record.holder})" if record else ""
            raise RolloutError(
                f"a rollout of {self._stack} is at work{who}. "
                f"Look: make rollout DO=status STACK={self._stack}"
            ) from None

    def _record(self) -> Progress | None:
        """Read the record of a rollout whose process is gone."""
        record = self._world.record()
        if record is not None and record.holder.host != holding.me().host:
            raise RolloutError(
                f"{record.holder} has a rollout of {self._stack} under way. "
                "End it there, or take its record away: "
                f"pulumi config rm {KEY} --stack {self._stack}"
            )
        return record

    def _needed(self) -> Progress:
        record = self._record()
        if record is None:
            raise RolloutError(
                f"no rollout of {self._stack} is under way. Begin one: make rollout TO=app1=0,..."
            )
        return record

    def _offer(self, record: Progress) -> Ending:
        """Say that a rollout has not ended, and do what the person here wants of it."""
        self._terminal.say(f"{words.standing(record)}.")
        if not self._person.there or self._terminal.machine:
            self._terminal.say(f"{words.ways(self._stack)}.")
            return Ending.HELD
        try:
            said = input("Go on with it (g), take it back (r), or leave it (l)? ").strip()[:1]
        except (EOFError, KeyboardInterrupt):
            said = ""
        if said == "g":
            return self._go_on(record)
        return self._take_back(record) if said == "r" else Ending.HELD

    def _go_on(self, record: Progress) -> Ending:
        with self._shown(record):
            self._take_over(record)
            return controller.run(self._world, record, resumed=True)

    def _take_back(self, record: Progress) -> Ending:
        with self._shown(record):
            self._take_over(record)
            return controller.take_back(self._world, record, f"aborted by {self._world.user}")

    def _take_over(self, record: Progress) -> None:
        """Become the holder; the person has seen what others changed, except other weights."""
        world = self._world
        try:
            world.wait_for_updates()
        except UpdateError as error:
            raise RolloutError(str(error)) from error
        present = dict(world.weights())
        if present != record.weights:
            raise HeldError(
                f"somebody else set the weights to {written(present)}. Set them back to "
                f"{written(record.weights)}, or keep them: "
                f"make rollout DO='abort --keep' STACK={self._stack}"
            )
        record.holder, record.config = holding.me(), world.config()
        later = world.updates(record.updates)
        if history.foreign(later, record.id):
            record.updates = later[-1].number
        record.state = State.RUNNING
        world.save(record)

    @contextmanager
    def _shown(self, record: Progress) -> Iterator[None]:
        self._view = self._terminal.view(record.settings)
        with self._person.listening():
            yield

    def _ask(self, request: Request) -> Ending:
        self._world.desk.ask(request)
        self._terminal.say(f"Asked the rollout of {self._stack} to {request.value}.")
        return Ending.REACHED
