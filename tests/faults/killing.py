"""Commands of Pulumi that are killed at random moments, and what must hold after that."""

import json
import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.family import descendants, parents_of_all
from loadbalancer.nginx.live_route import LiveRoute
from tests.stack.deployment import Deployment
from tests.stack.rolling import in_force, run

SEED = "FAULTS_SEED"
"""Variable that repeats the moments of an earlier run, which its failures name."""


def chance() -> tuple[int, random.Random]:
    """Return the seed of this run, and the random numbers that it gives."""
    seed = int(os.environ.get(SEED) or secrets.randbelow(1_000_000))
    return seed, random.Random(seed)  # noqa: S311


@dataclass
class Killer:
    """Kills commands at random moments: one in each of so many equal parts of their time."""

    longest: float
    """Seconds that the command takes when it is left alone."""
    count: int
    seed: int
    numbers: random.Random
    ended: int = 0
    """How many commands ended before their moment came."""
    what: str = field(default="", init=False)
    """The kill that was last, for messages."""

    def moments(self) -> Iterator[float]:
        """Yield the seconds after which each command is killed, in a random order."""
        parts = list(range(self.count))
        self.numbers.shuffle(parts)
        for part in parts:
            yield (part + self.numbers.random()) * self.longest / self.count

    def kill(self, stack: Deployment, command: Sequence[str], moment: float) -> None:
        """Run a command and kill it: alone, or with everything that it has started."""
        everything = self.numbers.random() < 0.5
        self.what = f"{SEED}={self.seed}: {command[1]} killed after {moment:.2f} s" + (
            " with its plugins" if everything else ""
        )
        process = stack.process(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=moment)
            self.ended += 1
        except subprocess.TimeoutExpired:
            family = descendants(parents_of_all(), process.pid) if everything else []
            process.kill()
            for pid in family:
                end(pid)
        process.wait()


def end(pid: int) -> None:
    """Kill a process, which may have ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def seconds(stack: Deployment, *arguments: str) -> float:
    """Run a command of Pulumi to its end; returns the seconds that it took."""
    began = time.monotonic()
    stack.run(*arguments)
    return time.monotonic() - began


def expect_true_status(stack: Deployment, what: str) -> bool:
    """Run `./lb status`, which must not be clean unless all is as the state says.

    Returns whether it found no drift.
    """
    code, out = run(stack, "status", "--json")
    assert code in (0, 2), (what, out)
    found = json.loads(out)
    assert found["drift"] == (code == 2), what
    if code == 0:
        assert not stack.locks(), (what, out)
        if stack.outputs():
            assert {str(c.id) for c in stack.labelled()} == set(stack.ids().values()), (what, out)
            stack.answers(10)
        else:
            assert stack.labelled() == [], (what, out)
    return code == 0


def expect_whole(stack: Deployment, what: str) -> None:
    """Check that the stack is what its config declares, and nothing else is left."""
    assert sorted(stack.ids().values()) == sorted(str(c.id) for c in stack.labelled()), what
    # Not by counting answers: other requests take turns meanwhile.
    configured = {app: int(weight) for app, weight in stack.get("weights").items()}
    found = in_force(stack)
    assert found == configured, (
        what,
        found,
        configured,
        LiveRoute(stack.nginx()).text(),
        stack.checkpoint(),
    )
    stack.answers(10)
    assert expect_true_status(stack, what), what
