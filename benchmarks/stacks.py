"""Duration of `pulumi up` by the number of stacks on a host.

    eval "$(./lb env)"; .venv/bin/python -m benchmarks.stacks 10

Brings a number of stacks up one after the other, each with different weights, and compares the
shares of each with its weights. Then it destroys the first one and compares the others again. Times
are in seconds; ratios are relative to the first stack of the run.
"""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.stack.conftest import find_base_images
from tests.stack.deployment import Deployment


def main(count: int) -> None:
    """Measure, and print a line for each stack."""
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        stacks: list[Deployment] = []
        first = 0.0
        print(f"{'stack':>5} {'weights':>8} {'up':>6} {'ratio':>6}")
        for number in range(1, count + 1):
            own = folder / str(number)
            own.mkdir()
            stack = cleanup.enter_context(Deployment.temporary(own, find_base_images()))
            stack.set_weights(app1=number, app2=1)
            start = time.monotonic()
            stack.up()
            took = time.monotonic() - start
            first = first or took
            stacks.append(stack)
            print(f"{number:>5} {f'{number}:1':>8} {took:>6.1f} {took / first:>6.2f}", flush=True)
        _check_shares(stacks, 1)
        stacks[0].destroy()
        _check_shares(stacks[1:], 2)
        print(f"{count} stacks had the configured shares, and {count - 1} after one was destroyed")


def _check_shares(stacks: list[Deployment], first: int) -> None:
    for number, stack in enumerate(stacks, first):
        shares = stack.shares(number + 1)
        if shares != {"app1": number, "app2": 1}:
            raise SystemExit(f"stack {number} has weights {number}:1 and answered {shares}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
