"""The command line in a process that is killed at the first boundary that is not in a file yet.

    python dying.py SEEN rollout start ...

A boundary is the end of one effect of the rollout on the stack. SEEN is a file with one line for
each boundary at which a process was killed: with the same file, the next process is killed at the
next boundary, until none is left.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

from loadbalancer import cli
from loadbalancer.rollout.stack_environment import StackEnvironment

SEEN = Path(sys.argv.pop(1))
EFFECTS = ("save", "reroute", "up", "hook", "forget")


def killed_after(effect: str) -> Callable[..., Any]:
    """Wrap a method of the environment, so that the process is killed after a new boundary."""
    original = getattr(StackEnvironment, effect)

    def method(self: StackEnvironment, *arguments: Any) -> Any:
        record = self.record()
        result = original(self, *arguments)
        record = self.record() or record
        assert record
        when = arguments[1]["ROLLOUT_WHEN"] + " " if effect == "hook" else ""
        boundary = f"{effect} {when}{record.phase.value} {record.step + 1}"
        seen = SEEN.read_text().splitlines() if SEEN.exists() else []
        if boundary not in seen:
            SEEN.write_text("\n".join([*seen, boundary]))
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return method


if __name__ == "__main__":
    for effect in EFFECTS:
        setattr(StackEnvironment, effect, killed_after(effect))
    sys.exit(cli.main(sys.argv[1:]))
