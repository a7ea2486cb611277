"""The command line in a process that ends as by `kill -9`, at the first boundary not yet seen.

    python dying.py SEEN rollout ...

A boundary is the end of something that the rollout did to the world outside itself. SEEN is a file
with a line for each boundary at which a process has died: with the same file, the next process
dies at the next one, until none is left.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

from loadbalancer import cli
from loadbalancer.rollout.realworld import RealWorld

SEEN = Path(sys.argv.pop(1))
EFFECTS = ("save", "reroute", "up", "hook", "forget")


def dying(effect: str) -> Callable[..., Any]:
    """Make a method of the world one after which the process is no more, if it had not been."""
    real = getattr(RealWorld, effect)

    def method(self: RealWorld, *arguments: Any) -> Any:
        record = self.record()
        done = real(self, *arguments)
        record = self.record() or record
        assert record
        when = arguments[1]["ROLLOUT_WHEN"] + " " if effect == "hook" else ""
        boundary = f"{effect} {when}{record.phase.value} {record.step + 1}"
        seen = SEEN.read_text().splitlines() if SEEN.exists() else []
        if boundary not in seen:
            SEEN.write_text("\n".join([*seen, boundary]))
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return method


if __name__ == "__main__":
    for effect in EFFECTS:
        setattr(RealWorld, effect, dying(effect))
    sys.exit(cli.main(sys.argv[1:]))
