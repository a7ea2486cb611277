"""Serve the ``app`` of app.py: ``python -m _server`` in the app's folder."""

import os
import signal


def _leave(*_: object) -> None:
    # Not by an exception: Python drops an exception that a signal handler raises inside a callback
    # of the import system, and the signal would be lost.
    os._exit(0)


if __name__ == "__main__":
    # Before the imports: the kernel drops signals for which process 1 of a container has no
    # handler, and a container stopped while it starts would run until its grace period ends.
    signal.signal(signal.SIGTERM, _leave)

    from .serve import main

    main()
