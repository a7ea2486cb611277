"""Memory of an app's server by its number of threads and workers: idle, and with all in use.

    .venv/bin/python -m benchmarks.app_memory

Prints a table of proportional set sizes (PSS) in MiB. The app is a small one of Flask; what an app
keeps for each of its requests comes on top. In use: each thread of each worker answers a request
that sleeps. Uses 127.0.0.1 only.
"""

import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from benchmarks.candidates import APP, Server, ask, receive, running, send, shared_form

THREADS = (8, 16, 32, 64, 128)
WORKERS = (1, 2, 4)
DEFAULT_THREADS = 32
SLEEP = 6.0
"""Seconds that a request sleeps; half of it is for all of them to arrive."""


def measure(folder: Path, threads: int, workers: int) -> tuple[float, float]:
    """Return the memory after a request, and while every thread answers one."""
    candidate = shared_form(threads)
    environment = {**candidate.environment, "WORKERS": str(workers)}
    with running(replace(candidate, environment=environment), Path(sys.executable), folder) as one:
        with closing(one.connect()) as sock:
            ask(sock, "/")
        idle = one.memory_mib()
        return idle, in_use(one, threads * workers)


def in_use(server: Server, count: int) -> float:
    """Return the memory while so many requests are answered."""
    with ExitStack() as cleanup:
        socks = [cleanup.enter_context(closing(server.connect())) for _ in range(count)]
        for sock in socks:
            send(sock, f"/sleep/{SLEEP}")
        time.sleep(SLEEP / 2)
        used = server.memory_mib()
        for sock in socks:
            receive(sock)
        return used


def main() -> None:
    """Measure each number of threads, and of workers, and print the table."""
    print("| threads | workers | idle, MiB | all threads in use, MiB |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP)
        several = [(DEFAULT_THREADS, workers) for workers in WORKERS[1:]]
        for threads, workers in [*((threads, 1) for threads in THREADS), *several]:
            idle, used = measure(folder, threads, workers)
            print(f"| {threads} | {workers} | {idle:.1f} | {used:.1f} |", flush=True)


if __name__ == "__main__":
    main()
