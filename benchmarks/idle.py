"""What idle containers cost the host: asked by `loadbalancer.probe`, beside asked by Docker alone.

    .venv/bin/python -m benchmarks.idle 10 20

Starts so many containers of either kind, and of a kind that nobody asks, and measures for so many
seconds how busy the host's processors are. Each kind runs alone, twice, in the order a, b, c, c, b,
a. Figures are in seconds of a processor per second; nothing else should run meanwhile.
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
_QUESTION = ("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000")
_SERVER = ("python", "-m", "http.server", "8000")
KINDS: dict[str, Sequence[str]] = {
    "nobody": ("NONE",),
    "ours": healthcheck_command(_QUESTION),
    "docker": ("CMD", *_QUESTION),
}
_HERTZ = os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Read for how many seconds the processors have worked, all together, since the start."""
    numbers = [int(number) for number in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, *_ = numbers
    return (user + nice + system + irq + softirq) / _HERTZ


@contextmanager
def idle(client: docker.DockerClient, count: int, tests: Sequence[str]) -> Iterator[None]:
    """Run containers that have nothing to do, and wait until they have settled."""
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
    """Measure, and print a line for each kind."""
    client = engine.connect()
    used = dict.fromkeys(KINDS, 0.0)
    for kind in (*KINDS, *reversed(KINDS)):
        with idle(client, count, KINDS[kind]):
            before = busy()
            time.sleep(seconds)
            used[kind] += (busy() - before) / seconds / 2
    for kind, one in used.items():
        print(f"{kind:>8}: {one:.3f}")
    ratio = (used["ours"] - used["nobody"]) / (used["docker"] - used["nobody"])
    print(f"the healthcheck costs {ratio:.2f} of a plain one")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
