"""A running rollout of a real stack, and an app that can be made to fail meanwhile."""

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
from loadbalancer.state.config_file import RECORD_KEY
from tests.stack import counters
from tests.stack.deployment import Deployment, free_ports
from tests.stack.editing import change

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
"""Code of an app that answers every nth request with 500, or all slowly, as last requested."""

LONGEST = 500
"""Seconds that a verb may take: some start Pulumi a dozen times, on a busy machine."""

PATIENCE = Wait(timeout=LONGEST, interval=0.05)
ANY_P99 = ("--max-p99", "60s")
"""Keeps a rollout from rolling back because the machine is slow."""
QUICK = ("--step-time", "2s", "--interval", "1s", "--min-samples", "20", *ANY_P99)


def bring_up(stack: Deployment, **weights: int) -> None:
    """Bring a stack up whose app2 can be made to fail."""
    change(stack, "app2", FAULTS)
    stack.set("apps.app2.directPort", free_ports(1)[0])
    stack.set_weights(**weights)
    stack.up()


def fail(stack: Deployment, *, every: int = 0, sleep: float = 0.0) -> None:
    """Make app2 fail every nth request, or answer slowly, from now on."""
    url = f"{stack.output('directUrls')['app2']}/fault"
    answer = requests.get(url, params={"every": every, "sleep": sleep}, timeout=60)
    assert answer.text == "noted"


def weights(stack: Deployment) -> dict[str, int]:
    """Return the weights in the config."""
    return dict(stack.get("weights"))


def has_record(stack: Deployment) -> bool:
    """Tell whether the config has the record of a rollout."""
    return RECORD_KEY in stack.config()


def history(stack: Deployment) -> list[dict[str, Any]]:
    """Return the updates, as `./lb history --json` prints them."""
    code, out = run(stack, "history", "--json")
    assert code == 0, out
    return list(json.loads(out))


def has_rolled_back(stack: Deployment, before: dict[str, int], *why: str) -> None:
    """Check that the weights before are in the config and in nginx, and that history says why."""
    assert weights(stack) == in_force(stack) == before
    assert not has_record(stack)
    last = history(stack)[-1]
    assert (last["what"], last["weights"]) == ("rollout: rolled back", before)
    assert all(word in str(last["why"]) for word in why), last


def in_force(stack: Deployment) -> dict[str, int | None]:
    """Return the weights that nginx serves by."""
    apps = counters.read(stack).apps
    return {app: one.weight for app, one in apps.items() if one.weight is not None}


def answered(stack: Deployment) -> dict[str, int]:
    """Count the requests of each app so far, by nginx's counters."""
    apps = counters.read(stack).apps
    return {app: sum(one.requests.values()) for app, one in apps.items()}


PROGRAM = ("-m", "loadbalancer")


def command(stack: Deployment, *words: str, program: Sequence[str] = PROGRAM) -> list[str]:
    """Return the command line of a verb; `program` is what Python runs."""
    return [sys.executable, *program, *words, "--stack", stack.name]


def run(stack: Deployment, *words: str, program: Sequence[str] = PROGRAM) -> tuple[int, str]:
    """Run a verb to its end, without a terminal; returns its exit code and what it printed.

    What it printed to stderr comes last.
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
    """A running rollout: its events so far, and its exit code once it has ended."""

    process: "subprocess.Popen[str]"
    events: list[dict[str, Any]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)
    """Reads the events; ends after the process, when all are read."""

    def __post_init__(self) -> None:
        """Start to read events."""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))
            else:
                self.rest.append(line)

    def wait_for(self, kind: str, step: int = 0) -> dict[str, Any]:
        """Wait for an event of a kind, at a step if one is given; returns it."""

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
        """Wait for the end, and for the last event; returns the exit code."""
        code = self.process.wait(timeout=LONGEST)
        self.reader.join()
        return code

    def kill(self) -> None:
        """Kill it, as `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def rolling(stack: Deployment, *words: str) -> Iterator[Rolling]:
    """Start a rollout, or resume one; it is killed if it still runs when the block ends."""
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
