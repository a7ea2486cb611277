"""Load from wrk on one balancer, and what it measured."""

import re
import resource
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.processes import APPS, BALANCER

OTHERS = "others"
"""Processes without a part in the benchmark."""
WRK = "wrk"

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_PATIENCE = 30.0
"""Seconds over its own that wrk may take."""


@dataclass(frozen=True)
class Case:
    """A kind of load: GET of bodies of one size in bytes."""

    connections: int
    keep_alive: bool
    size: int

    def __str__(self) -> str:
        """Describe it, as a heading of the report."""
        kept = "keep-alive" if self.keep_alive else "a connection for each request"
        return f"{self.connections} connections, {kept}, {self.size // 1024} KB"


@dataclass(frozen=True)
class Wrk:
    """What wrk reports: latencies in milliseconds, and how many requests failed."""

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Figures:
    """A measurement of one balancer.

    `processor` is processor time in microseconds for one request by role, with wrk and OTHERS;
    `memory` is in MiB, by role, after the load.
    """

    rate: float
    p50: float
    p99: float
    failed: int
    processor: Mapping[str, float]
    memory: Mapping[str, float]
    others: float
    """Share of the host's processor time that went to processes without a part."""


def parse(report: str) -> Wrk:
    """Read the report of `wrk --latency`.

    Raises ValueError when it is not one.
    """
    try:
        (requests,) = re.findall(r"(\d+) requests in", report)
        (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", report)
        p50, p99 = (_milliseconds(report, percent) for percent in ("50%", "99%"))
    except ValueError as error:
        raise ValueError(f"this is not a report of wrk --latency: {report!r}") from error
    socket_errors = re.findall(r"(?:connect|read|write|timeout) (\d+)", report)
    refused = re.findall(r"Non-2xx or 3xx responses: (\d+)", report)
    failed = sum(map(int, [*socket_errors, *refused]))
    return Wrk(int(requests), float(rate), p50, p99, failed)


def _milliseconds(report: str, percent: str) -> float:
    ((value, unit),) = re.findall(rf"^\s+{percent}\s+([\d.]+)(us|ms|s|m)$", report, re.MULTILINE)
    return float(value) * _UNITS[unit]


def command(url: str, case: Case, seconds: float) -> list[str]:
    """Return wrk's arguments."""
    close = [] if case.keep_alive else ["-H", "Connection: close"]
    options = ["-t1", f"-c{case.connections}", f"-d{seconds:g}s", "--timeout", "10s", "--latency"]
    return ["wrk", *options, *close, f"{url}/bytes/{case.size}"]


def run(url: str, roles: Mapping[str, str], case: Case, seconds: float) -> Figures:
    """Load a balancer.

    Args:
        url: its address.
        roles: what each container is, by its ID.
        case: the kind of load.
        seconds: how long.
    """
    before, busy, own, start = processes.look(roles), _busy(), _own(), time.monotonic()
    done = subprocess.run(
        command(url, case, seconds),
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + _PATIENCE,
    )
    after, own = processes.look(roles), _own() - own
    busy, took = _busy() - busy, time.monotonic() - start
    seen = parse(done.stdout)
    spent = processes.spent(before, after) | {WRK: own}
    spent[OTHERS] = max(0.0, busy - sum(spent.values()))
    memory = {
        role: processes.memory_mib(pid for pid, one in after.items() if one.role == role)
        for role in (BALANCER, APPS)
    }
    count = max(1, seen.requests)
    return Figures(
        rate=seen.rate,
        p50=seen.p50,
        p99=seen.p99,
        failed=seen.failed,
        processor={role: time_ / count * 1e6 for role, time_ in spent.items()},
        memory=memory,
        others=spent[OTHERS] / took / _processors(),
    )


def _busy() -> float:
    return processes.busy_seconds((processes.PROC / "stat").read_text())


def _own() -> float:
    """Return the processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _processors() -> int:
    text = (processes.PROC / "stat").read_text()
    return len(re.findall(r"^cpu\d+ ", text, re.MULTILINE))
