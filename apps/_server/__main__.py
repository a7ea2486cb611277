"""Serve the ``app`` of app.py: ``python -m _server`` in the app's folder."""

import signal
import sys


def _leave(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    # First of all: the kernel drops a signal that process 1 of a container has no handler for,
    # and a container stopped while it starts would then wait for the end of its time of grace.
    signal.signal(signal.SIGTERM, _leave)

    from .serve import main

    main()
