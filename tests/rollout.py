"""A simulated stack for rollouts: its config, history, nginx and clock, without any waiting."""

import json
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loadbalancer.config.model import RolloutSettings
from loadbalancer.metrics import MetricsError
from loadbalancer.metrics.histogram import BOUNDS, Histogram
from loadbalancer.metrics.reading import AppReading, Reading
from loadbalancer.rollout import controller, record
from loadbalancer.rollout.control import Answer, Command, Holder, Reply, Request
from loadbalancer.rollout.environment import Event
from loadbalancer.rollout.errors import Ending, UpdateError
from loadbalancer.rollout.record import Progress
from loadbalancer.state import history
from loadbalancer.state.config_file import RECORD_KEY
from loadbalancer.state.history import Update

START = 1_800_000_000.0


class Killed(BaseException):
    """The process was killed."""


@dataclass
class App:
    """How an app answers: rate of errors, seconds at most, rate of attempts that nginx retries.

    `client` are seconds that slow clients add, which the app has no part in. An app that `hangs`
    holds every request open, and so nginx counts none. `answers` are the paths of a probe that it
    answers all the same.
    """

    errors: float = 0.0
    slowest: float = 0.02
    failed_attempts: float = 0.0
    client: float = 0.0
    hangs: bool = False
    answers: frozenset[str] = frozenset({"/", "/healthz"})


@dataclass
class FakeStack:
    """What outlives a process: the config, Pulumi's history, the route, and nginx's counters."""

    weights: dict[str, int] = field(default_factory=lambda: {"app1": 100, "app2": 0})
    others: dict[str, str] = field(default_factory=lambda: {"port": "1a2b"})
    record: str = ""
    route: dict[str, int] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    apps: dict[str, App] = field(default_factory=lambda: {"app1": App(), "app2": App()})
    rate: float = 100.0
    clock: float = START
    unreachable: bool = False
    restarts: bool = False
    """Whether nginx starts again before each reading."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    durations: dict[str, list[int]] = field(default_factory=dict)
    headers: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.up("First up")

    def up(self, message: str, result: str = "succeeded") -> None:
        """Bring the route to the config, as any update does."""
        config = {"loadbalancer:weights": {"value": json.dumps(self.weights), "secret": False}}
        if self.record:
            config[RECORD_KEY] = {"value": self.record, "secret": False}
        self.history.insert(
            0,
            {
                "version": 0,
                "kind": "update",
                "startTime": datetime.fromtimestamp(self.clock, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%S.000Z"
                ),
                "message": message,
                "environment": {},
                "config": config,
                "result": result,
            },
        )
        if result == "succeeded":
            self.apply()

    def apply(self) -> None:
        """Change the route as Pulumi does: not if its state has these weights already."""
        if self.weights != self.applied:
            self.route, self.applied = dict(self.weights), dict(self.weights)

    def updates(self) -> list[Update]:
        return history.parse(self.history, "loadbalancer")

    def messages(self) -> list[str]:
        return [update.message.text for update in self.updates()]

    def serve(self, seconds: float) -> None:
        """Answer as many requests as come in that time."""
        self.clock += seconds
        total = sum(self.route.values())
        for name, weight in self.route.items():
            app = self.apps[name]
            counts = self.durations.setdefault(name, [0] * (len(BOUNDS) + 1))
            headers = self.headers.setdefault(name, [0] * (len(BOUNDS) + 1))
            if app.hangs:
                continue
            exact = self.rate * seconds * weight / total
            number = int(exact) + (self.chance.random() < exact % 1)
            for _ in range(number):
                if self.chance.random() < app.failed_attempts:
                    self.attempts[name, "error"] += 1
                    headers[0] += 1
                    continue
                code = 500 if self.chance.random() < app.errors else 200
                self.requests[name, code] += 1
                self.attempts[name, "answered"] += 1
                took = self.chance.uniform(0, app.slowest)
                counts[bisect_left(BOUNDS, took + app.client)] += 1
                headers[bisect_left(BOUNDS, took)] += 1

    def reading(self) -> Reading:
        if self.restarts:
            self.restart_nginx()
        if self.unreachable:
            raise MetricsError("http://127.0.0.1:1/metrics does not answer")
        total = sum(self.route.values())
        return Reading(
            time=self.clock,
            version="0123456789ab",
            changed=START,
            apps={
                name: AppReading(
                    requests={code: n for (app, code), n in self.requests.items() if app == name},
                    attempts={out: n for (app, out), n in self.attempts.items() if app == name},
                    request_duration=Histogram(
                        counts=tuple(self.durations.get(name, [0] * (len(BOUNDS) + 1)))
                    ),
                    header_duration=Histogram(
                        counts=tuple(self.headers.get(name, [0] * (len(BOUNDS) + 1)))
                    ),
                    weight=weight,
                    share=weight / total,
                )
                for name, weight in self.route.items()
            },
        )

    def restart_nginx(self) -> None:
        self.requests.clear()
        self.attempts.clear()
        self.durations.clear()
        self.headers.clear()


@dataclass
class FakeEnvironment:
    """One process that runs a rollout of a stack; it is killed at its nth effect if that is set."""

    stack: FakeStack
    killed_at: int | None = None
    on: dict[str, Callable[["FakeEnvironment"], None]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    requests: list[Request | Command | None] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    interruptions: list[Answer] = field(default_factory=list)
    asking: bool = False
    hooks: list[dict[str, str]] = field(default_factory=list)
    codes: dict[tuple[str, str], int] = field(default_factory=dict)
    up_fails: list[UpdateError] = field(default_factory=list)
    save_fails: list[UpdateError] = field(default_factory=list)
    stalls: float = 0.0
    hook_takes: float = 0.0
    effects: int = 0
    user: str = "somebody@somewhere"
    stack_name: str = "dev"

    def _effect(self) -> None:
        self.effects += 1
        if self.effects == self.killed_at:
            raise Killed

    def now(self) -> float:
        return self.stack.clock

    def sleep(self, seconds: float) -> None:
        self.stack.serve(seconds)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        for kind in (event.kind, f"{event.kind} {event.step}"):
            if kind in self.on:
                self.on.pop(kind)(self)

    def reading(self) -> Reading:
        return self.stack.reading()

    def probe(self, app: str) -> frozenset[str]:
        if self.stack.unreachable:
            raise MetricsError("http://127.0.0.1:1/probe does not answer")
        found = self.stack.apps[app]
        return found.answers if not found.hangs else found.answers - {"/"}

    def record(self) -> Progress | None:
        return record.read(self.stack.record) if self.stack.record else None

    def weights(self) -> Mapping[str, int]:
        return dict(self.stack.weights)

    def config(self) -> dict[str, str]:
        return dict(self.stack.others)

    def updates(self, after: int) -> list[Update]:
        return [update for update in self.stack.updates() if update.number > after]

    def save(self, progress: Progress, weights: Mapping[str, int] | None = None) -> None:
        self._effect()
        if self.save_fails:
            raise self.save_fails.pop(0)
        self.stack.record = progress.write()
        if weights is not None:
            self.stack.weights = dict(weights)
        self._effect()

    def forget(self) -> None:
        self._effect()
        self.stack.record = ""
        self._effect()

    def up(self, message: str, timeout: float) -> None:
        self._effect()
        self.stack.serve(1)
        if self.up_fails:
            self.stack.serve(min(self.stalls, timeout))
            error = self.up_fails.pop(0)
            self.stack.up(message, "failed")
            raise error
        # The process may be killed after the route has changed and before the history has it.
        self.stack.apply()
        self._effect()
        self.stack.up(message)
        self._effect()

    def reroute(self, weights: Mapping[str, int]) -> None:
        self.stack.route = dict(weights)

    def hook(
        self, command: str, environment: Mapping[str, str], meanwhile: Callable[[], None]
    ) -> int:
        self._effect()
        until = self.stack.clock + self.hook_takes
        while self.stack.clock < until:
            self.sleep(1)
            meanwhile()
        self.hooks.append({"COMMAND": command, **environment})
        return self.codes.get((environment["ROLLOUT_WHEN"], environment["ROLLOUT_STEP"]), 0)

    def command(self) -> Command | None:
        """Take the next request; a bare one is for the present step."""
        found = self.requests.pop(0) if self.requests else None
        if not isinstance(found, Request):
            return found
        present = self.record()
        assert present
        return Command(found, present.id, present.position)

    def reply(self, command: Command, reply: Reply) -> None:
        self.replies.append(reply)

    def answer(self, question: str) -> bool | None:
        return self.answers.pop(0) if self.answers else None

    def interruption(self) -> Answer | None:
        return self.interruptions.pop(0) if self.interruptions else None

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def last_text(self, kind: str) -> str:
        """The text of the last event of a kind."""
        return [event.text for event in self.events if event.kind == kind][-1]


def holder(pid: int = 1) -> Holder:
    return Holder(user="somebody", host="somewhere", pid=pid, started="1")


def start(stack: FakeStack, **settings: object) -> Progress:
    """Start a rollout: the record as it is first written."""
    found = RolloutSettings.model_validate(
        {"to": {"app1": 0, "app2": 100}, "steps": "10,50,100", "stepTime": "30s", **settings}
    )
    progress = Progress(
        id="0123abcd",
        settings=found,
        before=dict(stack.weights),
        weights=dict(stack.weights),
        updates=len(stack.history),
        updated=stack.updates()[-1].time.timestamp(),
        config=dict(stack.others),
        holder=holder(),
        since=stack.clock,
    )
    stack.record = progress.write()
    return progress


def run(environment: FakeEnvironment, progress: Progress) -> Ending:
    return controller.run(environment, progress)


def abort(environment: FakeEnvironment) -> Ending:
    """Abort, in another process, the rollout of the record."""
    found = record.read(environment.stack.record)
    found.holder = holder(2)
    environment.stack.record = found.write()
    return controller.roll_back(environment, found, "aborted")


def resume(environment: FakeEnvironment) -> Ending:
    """Resume, in another process, the rollout of the record."""
    found = record.read(environment.stack.record)
    found.holder = holder(2)
    environment.stack.record = found.write()
    return controller.run(environment, found, resumed=True)
