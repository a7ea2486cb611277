"""Mixed traffic for twenty minutes, while weights and versions change: whole answers, no leak.

FAULTS_SOAK_SECONDS makes it shorter or longer.
"""

import os
import shutil
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from loadbalancer.engine.wait import Wait
from tests.faults.soak.traffic import KINDS, traffic
from tests.faults.soak.usage import Usage, measure
from tests.stack import counters
from tests.stack.deployment import Deployment
from tests.stack.editing import app_file, change
from tests.stack.rolling import run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200), pytest.mark.xdist_group("soak")]

SECONDS = float(os.environ.get("FAULTS_SOAK_SECONDS", "1200"))
WARM_UP = 60.0
"""Seconds after which programs have the memory that they need for this traffic."""
WEIGHT_EVERY = 10.0
VERSION_EVERY = 120.0
WEIGHTS = ((6, 4), (1, 9), (10, 0), (5, 5), (9, 1), (3, 997))
"""Of app1 and app2."""

GENERATIONS = 5
"""Generations of nginx's workers that may live at once: the current one, and those of the reloads
within the time of the longest request, two of a new version and two of an app without a share."""
MORE_MEMORY = 24 << 20
"""Bytes that a container may hold more at the end than after the warm-up, for allocators."""
MORE_FILES = 4
"""Open files that a process may have more: those of the metrics, of checks and of the measurement.
A connection that leaks with one request in a thousand is beyond both."""
ALARMS = ("[alert]", "[crit]", "[emerg]")
"""Levels of nginx's error log that nothing of this traffic should cause."""
FEW_FILES = "setrlimit(RLIMIT_NOFILE"
"""What nginx says where the engine allows it fewer open files than it asks for."""


@pytest.fixture
def stack(module_stack: Deployment) -> Deployment:
    """A stack whose apps serve what the clients of the soak ask for; app1 keeps its container."""
    for app in ("app1", "app2"):
        shutil.copy(Path(__file__).parent / "soak" / "app.py", app_file(module_stack, app))
    # No request of the clients takes as long, also beside other tests.
    module_stack.set_all({"settle": 1, "drain": 120})
    module_stack.up()
    return module_stack


class Changes:
    """Changes of the stack, each at its time or as soon as the one before has ended."""

    def __init__(self, stack: Deployment) -> None:
        self.stack = stack
        self.weights: Iterator[tuple[int, int]] = cycle(WEIGHTS)
        self.version = 0
        self.ups = 0
        self.most_workers = 0

    def make(self, seconds: float, version_after: float) -> None:
        """Change weights until so many seconds have passed, and app2 after each `version_after`."""
        began = time.monotonic()
        next_version = began + version_after
        while (now := time.monotonic()) - began < seconds:
            if now >= next_version:
                self.version += 1
                next_version += VERSION_EVERY
                change(self.stack, "app2", f"\nVERSION = {self.version}\n")
            app1, app2 = next(self.weights)
            self.stack.set_weights(app1=app1, app2=app2)
            self.stack.up()
            self.ups += 1
            self.most_workers = max(self.most_workers, measure(self.stack.nginx(), "nginx").workers)
            time.sleep(max(0.0, now + WEIGHT_EVERY - time.monotonic()))


def at_rest(stack: Deployment) -> dict[str, Usage]:
    """Measure nginx and app1 when no connection is open and no worker of before is left."""
    app1 = stack.containers()[stack.output("containers")["apps"]["app1"][0]]

    def look() -> object:
        leaving = measure(stack.nginx(), "nginx").leaving
        return f"{leaving} workers that finish requests" if leaving else None

    Wait(120, 0.5).until("the old workers to end", look)
    counters.settled(stack)
    return {"nginx": measure(stack.nginx(), "nginx"), "app1": measure(app1, "python")}


def test_mixed_traffic_is_whole_and_nothing_leaks(stack: Deployment) -> None:
    changes = Changes(stack)
    with traffic(stack.url) as warm_up:
        changes.make(WARM_UP, WARM_UP / 2)
    before = at_rest(stack)
    changes.ups = changes.most_workers = 0
    first = changes.version + 1
    with traffic(stack.url) as load:
        changes.make(SECONDS, VERSION_EVERY / 2)
    after = at_rest(stack)
    print(
        f"{changes.ups} updates, {changes.version} versions, at most {changes.most_workers} workers"
    )
    print(f"{load.requests} {load.versions}\nbefore {before}\nafter  {after}")

    assert warm_up.failures == load.failures == []
    assert load.requests.keys() == KINDS.keys(), "a kind of client never got an answer"
    assert {
        f"app2 {version}" for version in range(first, changes.version + 1)
    } <= load.versions.keys()
    assert changes.most_workers <= GENERATIONS * (os.cpu_count() or 1)
    errors = stack.nginx().logs(stdout=False).decode().splitlines()
    alarms = [line for line in errors if any(level in line for level in ALARMS)]
    assert [line for line in alarms if FEW_FILES not in line] == []
    for name, now in after.items():
        assert now.memory < before[name].memory + MORE_MEMORY, name
        assert len(now.files) == len(before[name].files), name
        assert now.files[0] <= before[name].files[0] + MORE_FILES, name
    code, out = run(stack, "status")
    assert code == 0, out
