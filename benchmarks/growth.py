"""Duration and cost of a preview and a weight change, and of idle containers, by number of apps.

    eval "$(./lb env)"; .venv/bin/python -m benchmarks.growth [APPS ...]

One stack grows from 1 to 50 apps. With each number of apps it runs `pulumi preview` and, after a
change of all weights, `pulumi up --yes --skip-preview`, three times each, and prints medians: the
duration, and the processor seconds of each part. Then it leaves the containers idle, and prints
what they and the engine need, in percent of one processor. Processor time depends less than a
duration does on what else the machine does; that of the engine contains its work for other stacks.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree, ignore_patterns
from statistics import median

from benchmarks import family, processes
from benchmarks.family import Family
from benchmarks.processes import APPS, BALANCER, ENGINE
from loadbalancer import engine
from loadbalancer.names import APP
from tests.stack.conftest import find_base_images
from tests.stack.deployment import Deployment

COUNTS = (1, 10, 25, 50)
_ROUNDS = 3
_SETTLED = 75
"""Seconds after a start in which the healthchecks have become rare."""
_IDLE = 60
"""Seconds that idle containers are measured."""
_TEMPLATE = "app1"


def names(count: int) -> list[str]:
    """Name a number of apps."""
    return [f"app{number}" for number in range(1, count + 1)]


def weights(count: int, number: int) -> str:
    """Write the weights of a number of apps, different for each change."""
    return ",".join(f"{app}={1 + (at + number) % 5}" for at, app in enumerate(names(count)))


def grow(stack: Deployment, count: int) -> None:
    """Bring a stack up with a number of apps, all with the code of the first one."""
    for app in names(count):
        folder = stack.folder / "apps" / app
        if not folder.exists():
            copytree(folder.with_name(_TEMPLATE), folder, ignore=ignore_patterns("__pycache__"))
    stack.set("weights", weights(count, 0))
    stack.up()


def measured(command: Callable[[], object]) -> dict[str, float]:
    """Run a command that starts Pulumi; returns its duration, and the seconds of each part."""
    start = time.monotonic()
    with Family() as family:
        command()
    return {"took": time.monotonic() - start, **family.seconds()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def change_weights(stack: Deployment, count: int, number: int) -> None:
    """Change the weight of every app."""
    stack.set("weights", weights(count, number))
    stack.up()


def idle(stack: Deployment) -> dict[str, float]:
    """Measure what idle containers need, in percent of one processor.

    The engine's figure contains what it does for other containers meanwhile.
    """
    client = engine.connect()
    roles = {str(one.id): APPS if APP in one.labels else BALANCER for one in stack.labelled()}

    def look() -> Counter[str]:
        found = Counter({ENGINE: processes.engine_seconds(roles)})
        for id_, role in roles.items():
            used = client.api.stats(id_, stream=False, one_shot=True)["cpu_stats"]["cpu_usage"]
            found[role] += used["total_usage"] / 1e9
        return found

    time.sleep(_SETTLED)
    before, start = look(), time.monotonic()
    time.sleep(_IDLE)
    used = {role: seconds - before[role] for role, seconds in look().items()}
    return {role: 100 * used[role] / (time.monotonic() - start) for role in used}


def commands(stack: Deployment, count: int) -> dict[str, Callable[[], object]]:
    """Return the commands that are measured, by name."""
    numbers = iter(range(1, _ROUNDS + 1))
    return {
        "preview": stack.preview,
        "weights": lambda: change_weights(stack, count, next(numbers)),
    }


def main(counts: tuple[int, ...] = COUNTS) -> None:
    """Measure with each number of apps, and print a table."""
    print(f"{'apps':>5} {'':>8}", *(f"{part:>8}" for part in ("took", *family.PARTS)))
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        stack = cleanup.enter_context(Deployment.temporary(folder, find_base_images()))
        for count in counts:
            grow(stack, count)
            for name, command in commands(stack, count).items():
                found = medians([measured(command) for _ in range(_ROUNDS)])
                row = (f"{seconds:>8.2f}" for seconds in found.values())
                print(f"{count:>5} {name:>8}", *row, flush=True)
            row = (f"{role} {percent:.1f} %" for role, percent in idle(stack).items())
            print(f"{count:>5} {'idle':>8} ", ", ".join(row), flush=True)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or COUNTS)
