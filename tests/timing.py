"""How long each layer of `make test` took: `run` measures one, `show` prints all.

python tests/timing.py run LAYER COMMAND...
python tests/timing.py show

Pytest adds the layers of a run that it knows (tests/conftest.py), by `record`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "TEST_TIMES"
"""Names the file that collects the times; nothing is recorded where it is not set."""


def record(layer: str, seconds: float) -> None:
    """Add the time of a layer."""
    path = os.environ.get(VARIABLE)
    if path:
        with Path(path).open("a") as file:
            file.write(f"{layer} {seconds:.1f}\n")


def summary(text: str) -> list[str]:
    """Lay out the times, one line a layer, in the order in which they were recorded."""
    times: dict[str, float] = {}
    for line in text.splitlines():
        layer, _, seconds = line.rpartition(" ")
        times[layer] = times.get(layer, 0.0) + float(seconds)
    width = max(map(len, times), default=0)
    return [f"{layer:<{width}}  {_duration(seconds):>8}" for layer, seconds in times.items()]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"


def main(arguments: Sequence[str]) -> int:
    """Run a command and record its time, or show what was recorded; returns the exit code."""
    if arguments[:1] == ["show"]:
        print("Time of each layer:")
        for line in summary(Path(os.environ[VARIABLE]).read_text()):
            print(f"  {line}")
        return 0
    _, layer, *command = arguments
    start = time.monotonic()
    # What the command itself would record is part of this layer.
    code = subprocess.run(command, env={**os.environ, VARIABLE: ""}, check=False).returncode
    record(layer, time.monotonic() - start)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
