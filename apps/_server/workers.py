"""Several processes that serve one port."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SHORTEST_SECONDS = 1.0
"""A worker that ends sooner after its start is not replaced."""

CANNOT_START = 3
"""Exit code of a worker whose app cannot be imported."""

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class Workers:
    """Keeps a number of worker processes, and passes SIGTERM on to them.

    A worker that ends is replaced. If one cannot start, all are stopped and the exit code is 1:
    the restart policy of the container decides when to try again.
    """

    def __init__(self, count: int, listener: socket.socket) -> None:
        self.listener = listener
        self._count = count
        self._started_at: dict[int, float] = {}
        self._stopping = False

    def run(
        self,
        load: Callable[[], "WSGIApplication"],
        serve: Callable[["WSGIApplication"], NoReturn],
    ) -> NoReturn:
        """Run until every worker has ended; in a worker, load the app and serve it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        missing, code = self._count, 0
        while True:
            for _ in range(missing):
                if not self._fork():
                    serve(_loaded(load))
            if not self._started_at:
                raise SystemExit(code)
            if signal.sigwait(_SIGNALS) != signal.SIGCHLD:
                self._stop()
            missing, worst = self._reap()
            code = max(code, worst)

    def _fork(self) -> int:
        """Start a worker; return its process id, and 0 in the worker itself."""
        pid = os.fork()
        if pid:
            self._started_at[pid] = time.monotonic()
        else:
            # The handler of SIGTERM is still that of __main__.py, which exits at once.
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
        return pid

    def _stop(self) -> None:
        self._stopping = True
        self.listener.close()
        for pid in self._started_at:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> tuple[int, int]:
        """Collect the workers that have ended; return how many to start, and the exit code."""
        missing, code = 0, 0
        while self._started_at:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            started_at = self._started_at.pop(pid, None)
            if started_at is None:
                # An orphan, which the first process of a container inherits.
                continue
            ended = os.waitstatus_to_exitcode(status)
            age = time.monotonic() - started_at
            if self._stopping:
                code = max(code, int(ended != 0))
            elif ended == CANNOT_START or age < SHORTEST_SECONDS:
                code = 1
                self._stop()
            else:
                print(f"Worker {pid} ended with {ended}; another is started.", file=sys.stderr)
                missing += 1
        return (0 if self._stopping else missing), code


def _loaded(load: Callable[[], "WSGIApplication"]) -> "WSGIApplication":
    try:
        return load()
    except BaseException as error:
        if isinstance(error, SystemExit) and isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        else:
            traceback.print_exc()
        raise SystemExit(CANNOT_START) from None
