"""A rollout at work on a real stack, and an app that can be made to fail while it runs."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from loadbalancer.engine.wait import Wait
from tests.stack import counters
from tests.stack.deployment import Deployment

FAULTS = """

from itertools import count

from flask import request

fault = {"every": 0, "sleep": 0.0}
asked = count(1)


@app.before_request
def misbehave():
    if request.path == "/fault":
        fault.update(every=int(request.args["every"]), sleep=float(request.args["sleep"]))
        return "noted"
    if fault["sleep"]:
        import time

        time.sleep(fault["sleep"])
    if fault["every"] and next(asked) % fault["every"] == 0:
        return "broken", 500
"""
"""Code that answers every so manieth request with 500, or slowly, as it was told last."""

LONGEST = 500
"""Seconds that a verb may take: some start Pulumi a dozen times, on a machine with other work."""

PATIENCE = Wait(timeout=LONGEST, interval=0.05)
HOWEVER_SLOW = ("--max-p99", "60s")
"""Lets no rollout go back because the machine is slow: no p99 that is measured lies above it."""
QUICK = ("--step-time", "2s", "--interval", "1s", "--min-samples", "20", *HOWEVER_SLOW)


def fail(stack: Deployment, *, every: int = 0, sleep: float = 0.0) -> None:
    """Tell app2 how to fail from now on."""
    url = f"{stack.output('directUrls')['app2']}/fault"
    answer = requests.get(url, params={"every": every, "sleep": sleep}, timeout=60)
    assert answer.text == "noted"


def in_force(stack: Deployment) -> dict[str, int | None]:
    """Weights that nginx says it has."""
    apps = counters.read(stack).apps
    return {app: one.weight for app, one in apps.items() if one.weight is not None}


def answered(stack: Deployment) -> dict[str, int]:
    """How many requests nginx has counted for each app so far."""
    apps = counters.read(stack).apps
    return {app: sum(one.requests.values()) for app, one in apps.items()}


PROGRAM = ("-m", "loadbalancer")


def command(stack: Deployment, *words: str, program: Sequence[str] = PROGRAM) -> list[str]:
    """Write a command line of a verb of a rollout; the program is given as Python takes it."""
    return [sys.executable, *program, *words, "--stack", stack.name]


def run(stack: Deployment, *words: str, program: Sequence[str] = PROGRAM) -> tuple[int, str]:
    """Run a verb to its end, without a terminal; returns its exit code and what it printed.

    Its errors follow the rest, so that they can stand in the middle of no line.
    """
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    process = stack.process(*command(stack, *words, program=program), **options)
    try:
        out, errors = process.communicate(timeout=LONGEST)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out + errors


@dataclass
class Rolling:
    """A rollout at work: what it has told so far, and its exit code once it has ended."""

    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)
    """Takes what it tells; ends after it, when everything is taken."""

    def __post_init__(self) -> None:
        """Begin to take what it tells."""
        self.reader = threading.Thread(target=self._take)
        self.reader.start()

    def _take(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))
            else:
                self.rest.append(line)

    def wait_for(self, kind: str, step: int = 0) -> dict[str, Any]:
        """Wait until something happened, at a step if one is given."""

        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in self.events
                if event["kind"] == kind and step in (0, event["step"])
            ]

        def look() -> object:
            ended = not self.reader.is_alive()
            assert found() or not ended, (self.events[-3:], self.rest)
            return None if found() else self.events[-3:]

        PATIENCE.until(f"{kind} {step}", look)
        return found()[-1]

    def end(self) -> int:
        """Wait for the end, and for the last that it told; returns the exit code."""
        code = self.process.wait(timeout=LONGEST)
        self.reader.join()
        return code

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def rolling(stack: Deployment, *words: str) -> Iterator[Rolling]:
    """Begin a rollout, or go on with one; it is killed if it still runs when the block ends."""
    process = stack.process(
        *command(stack, "rollout", *words, "--json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    found = Rolling(process)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        found.reader.join()
