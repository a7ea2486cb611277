"""How the time of `pulumi up` grows with the number of stacks on a host.

    eval "$(./lb env)"; .venv/bin/python -m benchmarks.stacks 10

Brings so many stacks up one after the other, each with weights of its own, sees that each answers
with these, destroys the first and sees that the others still do. Times are in seconds; the ratio is
to the first stack of the same run.
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
            place = folder / str(number)
            place.mkdir()
            stack = cleanup.enter_context(Deployment.temporary(place, find_base_images()))
            stack.set_weights(app1=number, app2=1)
            start = time.monotonic()
            stack.up()
            took = time.monotonic() - start
            first = first or took
            stacks.append(stack)
            print(f"{number:>5} {f'{number}:1':>8} {took:>6.1f} {took / first:>6.2f}", flush=True)
        _answer_with_their_own(stacks, 1)
        stacks[0].destroy()
        _answer_with_their_own(stacks[1:], 2)
        print(f"each of {count} answered with its weights, and {count - 1} after one had gone")


def _answer_with_their_own(stacks: list[Deployment], first: int) -> None:
    for number, stack in enumerate(stacks, first):
        shares = stack.shares(number + 1)
        if shares != {"app1": number, "app2": 1}:
            raise SystemExit(f"stack {number} of weights {number}:1 answered {shares}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
