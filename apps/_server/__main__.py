"""Serve the ``app`` of app.py: ``python -m _server`` in the app's folder."""

import os
import signal


def _leave(*_: object) -> None:
    # At once, and not by an exception: where a signal meets one of the import system's callbacks,
    # Python drops what that raises, and the signal would be lost after all.
    os._exit(0)


if __name__ == "__main__":
    # First of all: the kernel drops a signal that process 1 of a container has no handler for,
    # and a container stopped while it starts would then wait for the end of its time of grace.
    signal.signal(signal.SIGTERM, _leave)

    from .serve import main

    main()
