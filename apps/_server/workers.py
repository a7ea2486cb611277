"""Several processes that serve one port."""

import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class Workers:
    """Keeps a number of worker processes, and passes SIGTERM on to them.

    A worker that ends is replaced. If one ends before its app is loaded, all are stopped and the
    exit code is 1: the restart policy of the container decides when to try again.
    """

    def __init__(self, count: int, listener: socket.socket) -> None:
        self.listener = listener
        self._count = count
        self._loaded: dict[int, mmap.mmap] = {}
        """For each worker a byte of memory shared with it: 1 when its app is loaded."""
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
                loaded = self._fork()
                if loaded:
                    app = load()
                    loaded[0] = 1
                    serve(app)
            if not self._loaded:
                raise SystemExit(code)
            if signal.sigwait(_SIGNALS) != signal.SIGCHLD:
                self._stop()
            missing, worst = self._reap()
            code = max(code, worst)

    def _fork(self) -> mmap.mmap | None:
        """Start a worker; return its byte of shared memory in the worker itself, else None."""
        loaded = mmap.mmap(-1, 1)
        pid = os.fork()
        if pid:
            self._loaded[pid] = loaded
            return None
        # The handler of SIGTERM is still that of __main__.py, which exits at once.
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        return loaded

    def _stop(self) -> None:
        self._stopping = True
        self.listener.close()
        for pid in self._loaded:
            os.kill(pid, signal.SIGTERM)

    def _reap(self) -> tuple[int, int]:
        """Collect the workers that have ended; return how many to start, and the exit code."""
        missing, code = 0, 0
        while self._loaded:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            loaded = self._loaded.pop(pid, None)
            if loaded is None:
                # An orphan, which the first process of a container inherits.
                continue
            ended = os.waitstatus_to_exitcode(status)
            if self._stopping:
                code = max(code, int(ended != 0))
            elif not loaded[0]:
                code = 1
                self._stop()
            else:
                print(f"Worker {pid} ended with {ended}; another is started.", file=sys.stderr)
                missing += 1
        return (0 if self._stopping else missing), code
