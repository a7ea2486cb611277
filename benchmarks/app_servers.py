"""Compare servers for the same Flask app: throughput, waiting requests, shutdown.

Prints tables, without a pass or fail. Throughputs are ratios to a peer measured in the same round,
so that a slow or busy machine affects both. Needs ``wrk``; uses 127.0.0.1 only.

    .venv/bin/python -m benchmarks.app_servers [--rounds 3] [--seconds 3] [--only NAME ...]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load as wrk
from benchmarks.candidates import APP, CANDIDATES, Candidate, Server, ask, running
from benchmarks.shutdown import HELD_SECONDS, shut_down

HERE = Path(__file__).resolve().parent
PEER = "gunicorn gthread"
CONNECTIONS = 16
# Requests that wait while the throughput of the others is measured.
SLEEPERS = 4


@dataclass(frozen=True)
class Load:
    """Result of wrk: requests per second, the 99th percentile in ms, failed requests.

    ``cpu_us`` is the processor time of the server per request, which depends least on the load of
    the machine.
    """

    rate: float
    cpu_us: float
    p99_ms: float
    failed: int


def load(server: Server, seconds: int) -> Load:
    """Drive ``GET /`` over keep-alive connections."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    before = server.cpu_seconds()
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}/"],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    ).stdout
    found = wrk.parse(text)
    return Load(
        cpu_us=(server.cpu_seconds() - before) / max(found.requests, 1) * 1e6,
        rate=found.rate,
        p99_ms=found.p99,
        failed=found.failed,
    )


@contextmanager
def sleepers(server: Server) -> Iterator[None]:
    """Keep a few requests waiting inside the app."""
    stop = threading.Event()

    def wait_repeatedly() -> None:
        while not stop.is_set():
            try:
                with closing(server.connect()) as sock:
                    ask(sock, "/sleep/0.5")
            except OSError:
                stop.wait(0.05)

    threads = [threading.Thread(target=wait_repeatedly) for _ in range(SLEEPERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def report(
    candidates: list[Candidate], python: Path, folder: Path, options: argparse.Namespace
) -> None:
    """Measure the candidates round by round, the peer first in each, and print the tables."""
    plain: dict[str, list[Load]] = {candidate.name: [] for candidate in candidates}
    waiting: dict[str, list[Load]] = {candidate.name: [] for candidate in candidates}
    memory: dict[str, float] = {}
    for number in range(options.rounds):
        for candidate in candidates:
            print(f"\rround {number + 1}: {candidate.name:<30}", end="", file=sys.stderr)
            with running(candidate, python, folder) as server:
                load(server, 1)
                plain[candidate.name].append(load(server, options.seconds))
                memory[candidate.name] = server.memory_mib()
                with sleepers(server):
                    waiting[candidate.name].append(load(server, options.seconds))
    print(file=sys.stderr)

    def ratio(of: dict[str, list[Load]], name: str) -> str:
        pairs = zip(of[name], of[PEER], strict=True)
        return f"{statistics.median(one.rate / peer.rate for one, peer in pairs):8.2f}"

    def p99(loads: list[Load]) -> str:
        return f"{statistics.median(one.p99_ms for one in loads):8.1f}"

    print(
        f"{os.cpu_count()} cores, wrk with {CONNECTIONS} connections. Throughput as a ratio to\n"
        f"'{PEER}' of the same round, median of {options.rounds}; 'waiting': while\n"
        f"{SLEEPERS} requests sleep in the app. 'cpu us' is the server's time for one GET /,\n"
        "'MiB' its proportional set size after the load.\n"
    )
    titles = ("GET /", "p99 ms", "waiting", "p99 ms", "cpu us")
    print(" " * 24 + "".join(f"{title:>8}" for title in titles) + "   MiB  failed")
    for candidate in candidates:
        name = candidate.name
        cpu = statistics.median(one.cpu_us for one in plain[name])
        failed = sum(one.failed for one in plain[name] + waiting[name])
        print(
            f"{name:<24}{ratio(plain, name)}{p99(plain[name])}{ratio(waiting, name)}"
            f"{p99(waiting[name])}{cpu:8.0f}{memory[name]:6.0f}{failed:8}"
        )
    rate = statistics.median(one.rate for one in plain[PEER])
    print(f"\n(The peer's own median: {rate:.0f} requests/s.)\n")

    print(
        f"SIGTERM with a {HELD_SECONDS:.0f}-second request in flight and 4 busy keep-alive clients;"
    )
    print("'lost' are requests without an answer. 'idle exit' is the time to exit with 8 idle")
    print("keep-alive connections and nothing in flight.\n")
    print(f"{'':<24}{'in flight':>20}{'lost':>6}{'answered':>10}{'exit':>6}{'idle exit s':>13}")
    for candidate in candidates:
        seen = shut_down(candidate, python, folder)
        print(
            f"{candidate.name:<24}{seen.in_flight:>20}{seen.unanswered:>6}{seen.answered:>10}"
            f"{seen.exit_code:>6}{seen.idle_exit_seconds:13.2f}"
        )


def main() -> None:
    """Build the environment in a temporary folder and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--only", nargs="*", help=f"candidates beside {PEER!r}")
    options = parser.parse_args()
    candidates = [
        candidate
        for candidate in CANDIDATES
        if not options.only or candidate.name in (PEER, *options.only)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        requirements = HERE / "app_servers.txt"
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
            check=True,
            timeout=600,
        )
        report(candidates, python, folder, options)


if __name__ == "__main__":
    main()
