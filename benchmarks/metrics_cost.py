"""Cost of counting requests: throughput of nginx with and without it, measured alternately.

    eval "$(./lb env)"; .venv/bin/python -m benchmarks.metrics_cost [ROUNDS] [SECONDS]

Brings a stack up and starts two more containers of nginx in its network. They differ in the line
that counts requests. A round loads on, off, off, on, so that a change of the machine's speed
affects both. The result is the geometric mean of the ratios of the rounds with its 95 % interval,
and the processor time per request of each nginx.
"""

import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from docker.models.containers import Container

from loadbalancer import engine, metrics
from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.process import FILES_FOLDER, ROUTE_FOLDER
from tests.stack.conftest import find_base_images
from tests.stack.deployment import PROJECT, Deployment, free_ports

COUNTING = "        access_log /dev/null json if=$recorded;\n"
CONNECTIONS = 16


@dataclass(frozen=True)
class Nginx:
    """One of the compared nginx containers."""

    container: Container
    url: str
    admin_url: str

    def processor_time(self) -> float:
        """Read the processor time of its processes so far, in microseconds."""
        found: Any = self.container.top()
        each = [Path(f"/proc/{fields[1]}/schedstat").read_text() for fields in found["Processes"]]
        return sum(int(text.split()[0]) for text in each) / 1000

    def load(self, seconds: int) -> tuple[float, float]:
        """Load it; returns requests per second and processor time per request in microseconds."""
        before = self.processor_time()
        command = ["wrk", f"-c{CONNECTIONS}", "-t1", f"-d{seconds}", self.url]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in printed:
            raise SystemExit(printed)
        (number,) = re.findall(r"(\d+) requests in", printed)
        rate = float(re.findall(r"Requests/sec: +([0-9.]+)", printed)[0])
        return rate, (self.processor_time() - before) / int(number)


@contextmanager
def nginx(stack: Deployment, files: Path, config: str) -> Iterator["Nginx"]:
    """Start another container of the stack's nginx, with this configuration in a new folder."""
    shutil.copytree(PROJECT / "nginx", files / "current")
    (files / "current" / "nginx.conf").write_text(config)
    running, (port, admin_port) = stack.nginx(), free_ports(2)
    (network,) = running.attrs["NetworkSettings"]["Networks"]
    (volume,) = [m["Name"] for m in running.attrs["Mounts"] if m["Destination"] == ROUTE_FOLDER]
    container = engine.connect().containers.run(
        running.attrs["Image"],
        detach=True,
        network=network,
        ports={"8080/tcp": ("127.0.0.1", port), "9113/tcp": ("127.0.0.1", admin_port)},
        volumes=[f"{volume}:{ROUTE_FOLDER}:ro", f"{files}:{FILES_FOLDER}:ro"],
    )
    url = f"http://127.0.0.1:{port}"

    def look() -> object:
        return None if requests.get(url, timeout=5).ok else "an error"

    try:
        Wait(30, 0.1, (requests.RequestException,)).until("nginx to answer", look)
        yield Nginx(container, url, f"http://127.0.0.1:{admin_port}")
    finally:
        container.remove(force=True)


def main(rounds: int, seconds: int) -> None:
    """Measure, and print a line for each round."""
    text = (PROJECT / "nginx" / "nginx.conf").read_text()
    if COUNTING not in text:
        raise SystemExit(f"nginx.conf does not contain the line {COUNTING.strip()!r}")
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        stack = cleanup.enter_context(Deployment.temporary(folder, find_base_images()))
        stack.up()
        on = cleanup.enter_context(nginx(stack, folder / "on", text))
        without = text.replace(COUNTING, "")
        off = cleanup.enter_context(nginx(stack, folder / "off", without))
        for one in (on, off):
            one.load(2)
        logarithms, times = [], []
        titles = ("on, req/s", "off, req/s", "ratio", "on, us", "off, us")
        print("round", *(f"{title:>10}" for title in titles))
        for number in range(1, rounds + 1):
            first, peer_first, peer_last, last = (one.load(seconds) for one in (on, off, off, on))
            (fast, spent), (peer_fast, peer_spent) = mean(first, last), mean(peer_first, peer_last)
            logarithms.append(math.log(fast / peer_fast))
            times.append((spent, peer_spent))
            line = f"{number:>5} {fast:>10.0f} {peer_fast:>10.0f} {fast / peer_fast:>10.3f}"
            print(f"{line} {spent:>10.1f} {peer_spent:>10.1f}", flush=True)
        counted = sum(
            sum(app.requests.values()) for app in metrics.read(on.admin_url).apps.values()
        )
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        middle = statistics.mean(logarithms)
        error = 1.96 * statistics.stdev(logarithms) / math.sqrt(rounds)
        low, ratio, high = (math.exp(middle + one) for one in (-error, 0, error))
        print(f"ratio {ratio:.3f} ({low:.3f} to {high:.3f}); {counted} requests were counted")
        print(f"nginx took {medians[0]:.1f} us a request with metrics, {medians[1]:.1f} us without")


def mean(*figures: tuple[float, ...]) -> list[float]:
    """Average each column."""
    return [statistics.mean(column) for column in zip(*figures, strict=True)]


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*given, *(30, 2)[len(given) :])
