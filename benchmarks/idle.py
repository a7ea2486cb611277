"""Cost of the healthchecks of idle containers: the project's healthcheck, Docker's alone, and none.

    .venv/bin/python -m benchmarks.idle [CONTAINERS] [SECONDS]

Starts a number of containers of one kind and measures how busy the host's processors are. Each kind
runs alone, twice, in the order a, b, c, c, b, a. The unit is processor seconds per second. Nothing
else should run at the same time.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker

from loadbalancer import engine
from loadbalancer.resources.healthcheck import TIMEOUT, healthcheck_command
from tests.stack.conftest import find_base_images

_SECOND = 1_000_000_000
_PROBE = ("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000")
_SERVER = ("python", "-m", "http.server", "8000")
KINDS: dict[str, Sequence[str]] = {
    "none": ("NONE",),
    "project": healthcheck_command(_PROBE),
    "docker": ("CMD", *_PROBE),
}
_HERTZ = os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Read the busy time of all processors since the start of the machine, in seconds."""
    numbers = [int(number) for number in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, *_ = numbers
    return (user + nice + system + irq + softirq) / _HERTZ


@contextmanager
def idle(client: docker.DockerClient, count: int, tests: Sequence[str]) -> Iterator[None]:
    """Run idle containers, and wait until they have started."""
    image = find_base_images()["python"]
    healthcheck = {
        "test": list(tests),
        "interval": _SECOND,
        "timeout": int(TIMEOUT.removesuffix("s")) * _SECOND,
    }
    with ExitStack() as cleanup:
        for _ in range(count):
            container = client.containers.run(
                image, list(_SERVER), detach=True, init=True, healthcheck=healthcheck
            )
            cleanup.callback(container.remove, force=True)
        time.sleep(5)
        yield


def main(count: int = 10, seconds: int = 20) -> None:
    """Measure, and print a line for each kind of healthcheck."""
    client = engine.connect()
    used = dict.fromkeys(KINDS, 0.0)
    for kind in (*KINDS, *reversed(KINDS)):
        with idle(client, count, KINDS[kind]):
            before = busy()
            time.sleep(seconds)
            used[kind] += (busy() - before) / seconds / 2
    for kind, one in used.items():
        print(f"{kind:>8}: {one:.3f}")
    ratio = (used["project"] - used["none"]) / (used["docker"] - used["none"])
    print(f"the project's healthcheck costs {ratio:.2f} of Docker's alone")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
