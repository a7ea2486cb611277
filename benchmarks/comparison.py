"""This stack beside bare nginx, HAProxy, Caddy and the tutorial's stack, under the same load.

    eval "$(./lb env)"; .venv/bin/python -m benchmarks.comparison [--rounds 5] [--seconds 5]

Prints a table for each kind of load, and writes them with a JSON file and plots to .bench/. In each
round every balancer is loaded once with each kind, in turn, and every other round in reverse, so
that a change of the machine's speed affects all. Needs `wrk`; nothing else should run at the same
time. All of it takes some 20 minutes. `--summary` also writes docs/benchmarks.md, unless other
processes took too much.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import requests

from benchmarks import load, peers, plots, report
from benchmarks.load import Case
from benchmarks.peers import Peer
from benchmarks.report import Comparison, Measurement
from tests.stack.conftest import find_base_images
from tests.stack.deployment import PROJECT

FOLDER = PROJECT / ".bench"
SUMMARY = PROJECT / "docs" / "benchmarks.md"
CONNECTIONS = (32, 256)
KIB = 1024
SIZES = (1, 100)
KEEP, CLOSE = "keep", "close"
WARM_UP = 1.0
"""Seconds of load on each peer before the first round."""


def cases(connections: Sequence[int], kept: Sequence[str], sizes: Sequence[int]) -> list[Case]:
    """Combine numbers of connections, KEEP and CLOSE, and sizes in KiB."""
    return [
        Case(number, keep == KEEP, size * KIB)
        for number, keep, size in product(connections, kept, sizes)
    ]


def turns(
    names: Sequence[str], kinds: Sequence[Case], rounds: int
) -> Iterator[tuple[int, Case, str]]:
    """Yield the round, the kind of load and the peer of each measurement, in their order."""
    for number in range(1, rounds + 1):
        order = names if number % 2 else names[::-1]
        for case, name in product(kinds, order):
            yield number, case, name


def measure(
    running: Sequence[Peer], kinds: Sequence[Case], rounds: int, seconds: float
) -> list[Measurement]:
    """Load the peers in turn."""
    by_name = {peer.name: peer for peer in running}
    for peer in running:
        for size in {case.size for case in kinds}:
            _check(peer, size)
        load.run(peer.url, peer.roles, kinds[0], WARM_UP)
    measurements = []
    for number, case, name in turns(list(by_name), kinds, rounds):
        print(f"round {number} of {rounds}, {case}: {name}", file=sys.stderr, flush=True)
        figures = load.run(by_name[name].url, by_name[name].roles, case, seconds)
        measurements.append(Measurement(number, name, case, figures))
    return measurements


def _check(peer: Peer, size: int) -> None:
    answer = requests.get(f"{peer.url}/bytes/{size}", timeout=10)
    if answer.status_code != requests.codes.ok or answer.content != b"x" * size:
        raise SystemExit(f"{peer.name} does not answer with {size} bytes: {answer}")


def write(comparison: Comparison, *, summary: bool) -> None:
    """Print the tables and write all files."""
    text, warning = report.tables(comparison), report.warning(comparison)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "comparison.json").write_text(report.to_json(comparison))
    (FOLDER / "comparison.md").write_text(text)
    written = plots.write(comparison, FOLDER)
    print(f"{text}\n{FOLDER}: comparison.json, comparison.md and {len(written)} plots")
    if warning:
        print(warning, file=sys.stderr)
    if summary and warning:
        raise SystemExit(f"{SUMMARY} is not written.")
    if summary:
        SUMMARY.write_text(report.summary(comparison))


def machine() -> str:
    """Describe this host."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB of memory, Linux {platform.release()}"


def main() -> None:
    """Bring everything up, measure, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--reuse", nargs="+", choices=(KEEP, CLOSE), default=(KEEP, CLOSE))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of bodies, in KB")
    parser.add_argument(
        "--peers", nargs="+", choices=peers.NAMES, default=peers.NAMES, help="the reference first"
    )
    parser.add_argument("--summary", action="store_true", help="write docs/benchmarks.md too")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: python3 -m toolchain --dev")
    kinds = cases(options.connections, options.reuse, options.sizes)
    base_images = find_base_images()
    with (
        tempfile.TemporaryDirectory() as name,
        peers.stack(Path(name), base_images) as stack,
        peers.running(options.peers, stack, base_images) as running,
    ):
        measurements = measure(running, kinds, options.rounds, options.seconds)
        versions = {peer.name: peer.version for peer in running}
    comparison = Comparison(machine(), options.seconds, versions, measurements)
    write(comparison, summary=options.summary)


if __name__ == "__main__":
    main()
